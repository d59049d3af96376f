/*
 * Ternary Bonsai 2's shapes (Qwen3.5) with random weights, on one thread: decoding after 1 token and after many, in turns, and reading a prompt.
 * Keys and values of the long text are random: reading it would take minutes, and what they are does not matter.
 *
 *     npx tsx bench/qwen35.ts [--shape 2B] [--type PQ2_0] [--context 8192] [--rounds 5] [--layers N] [--folder /tmp]
 */
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { MatMulFreeLM, type ModelState } from 'matmulfree';
import { bonsai2Blueprint, BONSAI_2, type Bonsai2Shape } from './published-shapes.js';
import { shapeFile, type TernaryType } from './shape-file.js';

const PROMPT = 512;
const WRITTEN = 8;
const HEADER = 32;

const { values } = parseArgs({
  options: {
    shape: { type: 'string', default: '2B' }, type: { type: 'string', default: 'PQ2_0' }, context: { type: 'string', default: '8192' }, rounds: { type: 'string', default: '5' },
    layers: { type: 'string' }, folder: { type: 'string', default: tmpdir() }, backend: { type: 'string' },
  },
});
const shape = values.shape as Bonsai2Shape;
const context = Number(values.context);
const layers = Number(values.layers ?? BONSAI_2[shape].layers);
const file = await shapeFile(join(values.folder, `random-bonsai-2-${shape}-${layers}-${values.type}.gguf`), (await bonsai2Blueprint(shape, layers))!, values.type as TernaryType);
const lm = await MatMulFreeLM.load(file, { threads: 1, contextTokens: context + PROMPT + 1024, ...(values.backend ? { backend: values.backend as 'simd' } : {}) });
const info = lm.info();
console.log(`${cpus()[0]!.model}, Node ${process.version}; Bonsai 2 ${shape}, ${layers} layers, ${values.type}, backend ${lm.backend}, one thread`);
console.log(`in memory ${(info.memoryBytes / 2 ** 20).toFixed(0)} MiB; a text takes ${(info.stateBytes / 1e6).toFixed(1)} MB and ${(info.stateBytesPerToken / 1000).toFixed(1)} KB a token`);

/** A text of so many tokens. */
function textOf(tokens: number): ModelState {
  const short = lm.createState();
  lm.forward([1], short);
  const saved = short.serialize();
  short.dispose();
  const vectors = saved.subarray(0, HEADER + info.stateBytes + 4); // and the width of an element
  const bytes = new Uint8Array(vectors.length + tokens * info.stateBytesPerToken);
  bytes.set(vectors);
  new DataView(bytes.buffer).setFloat64(24, tokens, true);
  const halves = new Uint16Array(tokens * (info.stateBytesPerToken / 2));
  for (let n = 0; n < halves.length; n++) halves[n] = 0x2c00 + (Math.imul(n, 0x9e3779b1) >>> 22) + ((n & 1) << 15);
  bytes.set(new Uint8Array(halves.buffer), vectors.length);
  return lm.restoreState(bytes);
}

function decode(state: ModelState): number {
  const since = performance.now();
  for (let n = 0; n < WRITTEN; n++) lm.forward(n + 7, state);
  return (1000 * WRITTEN) / (performance.now() - since);
}

const median = (numbers: readonly number[]): number => [...numbers].sort((a, b) => a - b)[numbers.length >> 1]!;
const [short, long] = [textOf(1), textOf(context)];
decode(short);
decode(long);
const runs = Array.from({ length: Number(values.rounds) }, () => [decode(short), decode(long)] as const);
const prompt = Array.from({ length: PROMPT }, (_, n) => (n * 7919) % 100_000);
const state = lm.createState();
const since = performance.now();
lm.forward(prompt, state);
const read = (1000 * PROMPT) / (performance.now() - since);
console.log(`decode after 1 token ${median(runs.map(([one]) => one)).toFixed(1)} tokens/s, after ${context} ${median(runs.map(([, many]) => many)).toFixed(1)}; ratio ${median(runs.map(([one, many]) => many / one)).toFixed(3)}`);
console.log(`prompt of ${PROMPT}: ${read.toFixed(1)} tokens/s`);
lm.dispose();
