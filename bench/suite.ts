/*
 * The benchmark suite: ternary against float32, kernels, whole models, quality; as a table and as JSON (see README.md)
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism, loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { availableBackends } from 'matmulfree';
import { compareReports, formatComparison, parseReport } from './compare.js';
import { describeMachine } from './machine.js';
import { complain, enableRelaxedSimd } from './measure.js';
import type { Report, Result } from './results.js';
import { measureKernels } from './suite-kernels.js';
import { measureModels } from './suite-models.js';
import { measureQuality } from './suite-quality.js';

const HELP = `Usage: npx tsx bench/suite.ts [options]

Ternary MatMul-free models against float32 ones: the same architecture with multiplications, and a transformer of as many weights.

Options:
  --quick              under a minute: one shape of kernels, the 370M model, short texts (the whole takes some ten minutes)
  --only NAME,…        parts to run: kernels, models, quality
  --json FILE          also writes all results to FILE
  --compare A B        compares two such files instead: what changed beyond noise`;

/** What a run consists of. */
interface Plan {
  readonly kernels: { readonly only: string; readonly rounds: number; readonly roundMs: number };
  readonly models: readonly { readonly shape: '370M' | '1.3B'; readonly prompt: number; readonly positions: readonly number[] }[];
  readonly modelRounds: number;
  readonly threads: readonly number[];
  readonly quality: { readonly stories: number; readonly rounds: number; readonly roundMs: number };
}

const MODEL_ROUND_MS = 100;
const processors = availableParallelism();

const QUICK: Plan = {
  kernels: { only: '370M gate_proj', rounds: 7, roundMs: 30 },
  models: [{ shape: '370M', prompt: 64, positions: [1, 1024] }],
  modelRounds: 5,
  threads: [1],
  quality: { stories: 10, rounds: 7, roundMs: 50 },
};
const FULL: Plan = {
  kernels: { only: '', rounds: 9, roundMs: 40 },
  models: [
    { shape: '370M', prompt: 256, positions: [1, 1024, 4096, 16_384, 32_768] },
    { shape: '1.3B', prompt: 64, positions: [1, 4096] },
  ],
  modelRounds: 7,
  threads: [...new Set([1, processors])],
  quality: { stories: 100, rounds: 11, roundMs: 100 },
};

const PARTS = ['kernels', 'models', 'quality'] as const;
type Part = (typeof PARTS)[number];

async function runPlan(plan: Plan, parts: readonly Part[]): Promise<Result[]> {
  const results: Result[] = [];
  const onResult = (result: Result): void => {
    results.push(result);
    const { id, median, quartiles, rounds, unit } = result;
    const spread = rounds === 1 ? '' : `  (${quartiles.map((value) => value.toPrecision(4)).join(' – ')})`;
    console.log(`${id.padEnd(84)} ${median.toPrecision(5).padStart(12)} ${unit}${spread}`);
  };
  const note = (text: string): void => console.log(`Note: ${text}`);
  const backend = (await availableBackends()).includes('relaxed') ? 'relaxed' : 'simd';
  if (parts.includes('kernels')) await measureKernels({ backend, ...plan.kernels }, onResult);
  if (parts.includes('models')) {
    for (const model of plan.models) {
      for (const [n, threads] of plan.threads.entries()) {
        await measureModels({ ...model, backend, threads, rounds: plan.modelRounds, roundMs: MODEL_ROUND_MS, counts: n === 0 }, onResult, note);
      }
    }
  }
  if (parts.includes('quality')) await measureQuality({ backend, ...plan.quality }, onResult, note);
  return results;
}

function readParts(text: string): readonly Part[] {
  return text.split(',').map((name) => {
    const part = PARTS.find((known) => known === name);
    if (part === undefined) throw new TypeError(`--only takes ${PARTS.join(', ')}, not "${name}"`);
    return part;
  });
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      quick: { type: 'boolean', default: false }, only: { type: 'string', default: PARTS.join() }, json: { type: 'string' },
      compare: { type: 'boolean', default: false }, help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return console.log(HELP);
  if (values.compare) {
    if (positionals.length !== 2) throw new TypeError('--compare takes two files');
    const [before, after] = positionals.map((file) => parseReport(file, readFileSync(file, 'utf8')));
    return console.log(formatComparison(compareReports(before, after)));
  }
  if (positionals.length > 0) throw new TypeError(`unknown argument "${positionals[0]}"; --help tells what there is`);
  const parts = readParts(values.only);
  enableRelaxedSimd();
  const machine = describeMachine();
  const started = new Date();
  console.log(`${machine.engine}, ${machine.cpu}, ${machine.processors} processors, load ${machine.load.start.toFixed(1)}`);
  const results = await runPlan(values.quick ? QUICK : FULL, parts);
  const seconds = (Date.now() - started.getTime()) / 1000;
  const [load] = loadavg();
  const report: Report = {
    format: 1, started: started.toISOString(), seconds, command: ['bench/suite.ts', ...process.argv.slice(2)].join(' '),
    machine: { ...machine, load: { start: machine.load.start, end: load } }, results,
  };
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(report, undefined, 1)}\n`);
  console.log(`${results.length} results in ${seconds.toFixed(0)} s, load ${load.toFixed(1)}`);
}

await main().catch(complain);
