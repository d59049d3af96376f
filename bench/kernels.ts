/*
 * Ternary products against the float32 MatMul baseline: npm run bench
 *
 * All candidates take turns in one process, on copies of the weights that together exceed the caches, so that the weights
 * stream from memory as they do in a model. Shown are medians over the rounds, the spread between the quartiles, and the ratio
 * to the best baseline of the same rounds.
 */
import { cpus } from 'node:os';
import { createScalarKernels, type TernaryMatrix } from 'matmulfree';
import { DENSE } from './dense.js';

const SHAPES: readonly (readonly [string, number, number])[] = [
  ['370M gate_proj', 5632, 1024],
  ['370M down_proj', 1024, 2816],
  ['2.7B gate_proj', 13824, 2560],
  ['2.7B down_proj', 2560, 6912],
];
const ROUNDS = 11;
/** Float weights of one shape: far beyond a last-level cache share, within 1 GB. */
const FLOAT_BYTES = 200e6;
/** Multiply-accumulates a candidate does in a round. */
const WORK = 1.2e8;

let state = 12345;
function random(): number {
  state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
  return state / 0x80000000;
}

function quantile(sorted: readonly number[], q: number): number {
  return sorted[Math.round(q * (sorted.length - 1))]!;
}

let sink = 0;
/** One for all shapes, as a program has one for its model. */
const kernels = createScalarKernels();

function measure(name: string, rows: number, columns: number): void {
  const copies = Math.max(2, Math.ceil(FLOAT_BYTES / (rows * columns * 4)));
  const trits = Int8Array.from({ length: rows * columns }, () => Math.floor(random() * 3) - 1);
  const packed: TernaryMatrix[] = [];
  const floats: Float32Array[] = [];
  for (let n = 0; n < copies; n++) {
    const matrix = kernels.createTernary(kernels.createArena(rows * (columns / 5 + 64) + 4096), rows, columns);
    for (let r = 0; r < rows; r++) kernels.packRow(matrix, r, trits.subarray(r * columns, (r + 1) * columns));
    matrix.scales.fill(1);
    packed.push(matrix);
    floats.push(Float32Array.from(trits));
  }
  const q = Int8Array.from({ length: 2 * columns }, () => Math.floor(random() * 255) - 127);
  const qScales = Float32Array.of(1, 1);
  const x = Float32Array.from(q.subarray(0, columns));
  const x64 = Float64Array.from(x);
  const out = new Float32Array(2 * rows);

  const candidates: [string, number, (copy: number) => void][] = [
    ...DENSE.map(([label, dense]): [string, number, (copy: number) => void] => [
      label, 1, (copy) => dense(floats[copy]!, x, x64, out, rows, columns),
    ]),
    ['ternary scalar', 1, (copy) => kernels.ternaryMatmul(packed[copy]!, q, qScales, 1, out)],
    ['ternary scalar, 2 tokens', 2, (copy) => kernels.ternaryMatmul(packed[copy]!, q, qScales, 2, out)],
  ];
  const repeats = Math.max(1, Math.round(WORK / (rows * columns)));
  const times = candidates.map((): number[] => []);
  for (let round = -2; round < ROUNDS; round++) {
    candidates.forEach(([, tokens, run], c) => {
      const start = performance.now();
      for (let n = 0; n < repeats; n++) run((n + round + 2) % copies);
      const perToken = (performance.now() - start) / repeats / tokens;
      sink += out[0]!;
      if (round >= 0) times[c]!.push(perToken); // the first two rounds warm up
    });
  }
  const macs = rows * columns;
  const gmacs = times.map((list) => {
    const sorted = [...list].sort((a, b) => a - b);
    return [0.25, 0.5, 0.75].map((at) => macs / quantile(sorted, at) / 1e6);
  });
  const baseline = Math.max(...gmacs.slice(0, DENSE.length).map((row) => row[1]!));
  console.log(`\n${name}, ${rows}×${columns}, ${copies} copies`);
  candidates.forEach(([label], c) => {
    const [fast, median, slow] = gmacs[c]! as [number, number, number];
    const spread = `${slow.toFixed(2)}–${fast.toFixed(2)}`;
    console.log(`  ${label.padEnd(28)} ${median.toFixed(2).padStart(6)} GMAC/s  (${spread.padStart(11)})  ${(median / baseline).toFixed(2)}×`);
  });
}

console.log(`Node ${process.version}, ${cpus()[0]?.model ?? 'unknown CPU'}, ${cpus().length} cores, 1 thread used`);
for (const [name, rows, columns] of SHAPES) measure(name, rows, columns);
if (Number.isNaN(sink)) console.log('a sum is NaN');
