import { createKernels, createScalarKernels, type BackendName } from 'matmulfree';
import { createFloatKernels } from './baselines/create.js';
import type { Listener } from './host.js';
import { checkResults, floatCandidates, randomProblem, shapes, ternaryCandidates } from './kernel-candidates.js';
import { counted, JAVASCRIPT_NOISE, share, speed } from './results.js';
import { createRoof } from './roof.js';
import { takeTurns } from './turns.js';

export interface KernelSettings {
  /** Of both sides; JavaScript takes part as well. */
  readonly backends: readonly Exclude<BackendName, 'scalar'>[];
  /** Shapes whose name contains that. */
  readonly only: string;
  /** Of those in kernel-candidates.ts. */
  readonly tokens: readonly number[];
  readonly rounds: number;
  readonly roundMs: number;
  /** For each shape; rounds are fewer when they would take longer. */
  readonly seconds: number;
}

/** The first shape has warmed the loops up for the others. */
const WARM_UP_MS = 100;

/** Products of one layer, one thread, with what the machine can do at most in the same rounds. */
export async function measureKernels({ backends, only, tokens, rounds, roundMs, seconds }: KernelSettings, tell: Listener): Promise<void> {
  const scalar = createScalarKernels(); // one for all shapes, as a program has one for its model
  const roof = await createRoof(1);
  const roofTimes: { readonly read: number[]; readonly compute: number[] } = { read: [], compute: [] };
  for (const [n, shape] of shapes().filter(({ name }) => name.includes(only)).entries()) {
    const problem = randomProblem(shape);
    const ternaries = await Promise.all(backends.map((backend) => createKernels({ backend, threads: 1 })));
    const floats = await Promise.all((['js', ...new Set(backends.map((backend) => (backend === 'dot' ? 'relaxed' : backend)))] as const).map((backend) => createFloatKernels({ backend, threads: 1 })));
    const candidates = [
      ...floats.flatMap((kernels) => floatCandidates(kernels, problem)),
      ...[scalar, ...ternaries].flatMap((kernels) => ternaryCandidates(kernels, problem)),
    ].filter((candidate) => tokens.includes(candidate.tokens));
    checkResults(candidates, problem);
    const times = takeTurns([...candidates.map(({ run }) => run), roof.read.run, roof.compute.run], { rounds, roundMs, seconds, ...(n > 0 ? { warmUpMs: WARM_UP_MS } : {}) });
    if (times[0].length < rounds) tell.note(`kernels, ${shape.name}: ${times[0].length} rounds of ${rounds}, for lack of time`);
    const [reads, computes] = times.slice(candidates.length);
    roofTimes.read.push(...reads);
    roofTimes.compute.push(...computes);
    candidates.forEach(({ label, tokens: count, bytes, kind }, c) => {
      const id = `kernels/${shape.name}/${label}`;
      const products = shape.rows * shape.columns * count;
      const inJavaScript = kind === 'js' || label.startsWith('ternary scalar') ? { noise: JAVASCRIPT_NOISE } : {};
      tell.result({ ...speed(id, 'MAC/s', products, times[c], 1), ...inJavaScript });
      tell.result(counted(`${id}/bytes read`, 'bytes', bytes));
      tell.result({ ...share(`${id}/share of bandwidth`, bytes, times[c], roof.read.bytes, reads, 1), ...inJavaScript });
      if (kind !== 'ternary') tell.result({ ...share(`${id}/share of float operations`, 2 * products, times[c], roof.compute.operations, computes, 1), ...inJavaScript });
    });
    for (const kernels of [...floats, ...ternaries]) kernels.dispose();
  }
  roof.dispose();
  tell.result(speed('machine/beside kernels/memory bandwidth/1 thread', 'bytes/s', roof.read.bytes, roofTimes.read, 1));
  tell.result(speed('machine/beside kernels/float32 operations/1 thread', '1/s', roof.compute.operations, roofTimes.compute, 1));
}
