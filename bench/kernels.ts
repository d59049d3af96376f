/*
 * Ternary products against float32 MatMul, one thread: npm run bench:kernels (see README.md)
 *
 * All candidates take turns in one process, on copies of the weights that together exceed the caches, so that the weights
 * stream from memory as they do in a model.
 */
import { availableBackends, createKernels, createScalarKernels, type Kernels } from 'matmulfree';
import { parseCommand } from '../src/cli/arguments.js';
import { createFloatKernels } from './baselines/create.js';
import { checkResults, denseCandidates, floatCandidates, randomProblem, shapes, ternaryCandidates, type Candidate, type Problem } from './kernel-candidates.js';
import { complain, enableRelaxedSimd, machine, wholeNumber } from './measure.js';
import { median, ratio, spread, takeTurns } from './turns.js';

const HELP = `Usage: npm run bench:kernels -- [options]

Ternary matrix × vector of each backend against float32 dense loops, on the layer shapes of the 370M, 1.3B and 2.7B models.

Options:
  --only TEXT     shapes whose name contains TEXT, such as 370M, gate_proj or 5632×1024
  --rounds N      rounds in which the candidates take turns (default 11)`;

const ROUND_MS = 40;

function fastest(times: readonly number[][], candidates: readonly Candidate[], kind: Candidate['kind']): readonly number[] {
  const [first, ...others] = times.filter((_, n) => candidates[n].kind === kind && candidates[n].tokens === 1);
  return others.reduce((best, other) => (median(other) < median(best) ? other : best), first);
}

async function measure(problem: Problem, scalar: Kernels, rounds: number): Promise<void> {
  const backends = (await availableBackends()).filter((backend) => backend !== 'scalar');
  const wasm = await Promise.all(backends.map((backend) => createKernels({ backend, threads: 1 })));
  const float = await Promise.all((['js', ...backends.filter((backend) => backend !== 'dot')] as const).map((backend) => createFloatKernels({ backend, threads: 1 })));
  const candidates = [
    ...denseCandidates(problem),
    ...float.flatMap((kernels) => floatCandidates(kernels, problem)),
    ...[scalar, ...wasm].flatMap((kernels) => ternaryCandidates(kernels, problem)),
  ];
  checkResults(candidates, problem);
  const calls = takeTurns(candidates.map(({ run }) => run), { rounds, roundMs: ROUND_MS });
  for (const kernels of wasm) kernels.dispose();

  const times = calls.map((list, n) => list.map((ms) => ms / candidates[n].tokens)); // a token
  // Those with one token: what a ternary product of one token is to be compared with.
  const js = fastest(times, candidates, 'js');
  const dense = fastest(times, candidates, 'wasm');
  console.log(`\n${problem.name.padEnd(30)} GMAC/s    quartiles   GB/s    × JS  × WASM`);
  candidates.forEach(({ label, bytes }, n) => {
    const speeds = times[n].map((ms) => (problem.rows * problem.columns) / ms / 1e6);
    const bandwidth = bytes / median(calls[n]) / 1e6;
    console.log(
      `  ${label.padEnd(28)} ${median(speeds).toFixed(2).padStart(6)} ${spread(speeds, 2).padStart(13)} ` +
      `${bandwidth.toFixed(1).padStart(5)} ${ratio(js, times[n]).toFixed(2).padStart(7)} ${ratio(dense, times[n]).toFixed(2).padStart(7)}`,
    );
  });
}

async function main(): Promise<void> {
  const { values } = parseCommand(process.argv.slice(2), {
    only: { type: 'string', default: '' }, rounds: { type: 'string', default: '11' }, help: { type: 'boolean' },
  }, false);
  if (values.help) return console.log(HELP);
  const rounds = wholeNumber('rounds', values.rounds);
  enableRelaxedSimd();
  console.log(`${machine()}, 1 thread used`);
  // One for all shapes, as a program has one for its model: V8 specialises the first one's loops.
  const scalar = createScalarKernels();
  for (const shape of shapes().filter(({ name }) => name.includes(values.only))) {
    await measure(randomProblem(shape), scalar, rounds);
  }
}

await main().catch(complain);
