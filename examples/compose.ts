/*
 * A model of your own from the low-level pieces: a list of blocks, each a token mixer and a channel mixer. Here it is put
 * together as a MatMul-free LM, block by block, on the embedded weights, and gives the same logits as the library's own
 * model. Replace a mixer by yours, share one between blocks, add a head: npx tsx examples/compose.ts
 */
import { readFile } from 'node:fs/promises';
import {
  allocateWorkspace, BitLinear, Block, createKernels, cumulativeLowerBounds, decodeFloats, decodeTernaryRow, Embedding,
  GLU, MatMulFreeLM, MLGRU, readGguf, RMSNorm, sourceFromContent, type FloatType,
} from 'matmulfree';

const file = new URL('models/tinystories-9m.gguf', import.meta.url);
const source = sourceFromContent('tinystories-9m.gguf', await readFile(file));
const { metadata, tensors } = await readGguf(source);
const number = (key: string): number => Number(metadata.get(key)?.value);

const hidden = number('hgrn_bit.embedding_length'); // 256; the recurrent state is as wide
const intermediate = number('hgrn_bit.feed_forward_length');
const layers = number('hgrn_bit.block_count');
const vocab = number('hgrn_bit.vocab_size');
const eps = 1e-6;

// Kernels work on one block of memory, the arena: weights, and buffers that all layers share, here for one token at a time.
const kernels = await createKernels({ threads: 1 });
const arena = kernels.createArena(16 * 2 ** 20);
const workspace = allocateWorkspace(arena, { hidden, recurrent: hidden, intermediate }, 1);

function inArena(values: ArrayLike<number>): Float32Array {
  const copy = arena.f32(values.length);
  copy.set(values);
  return copy;
}

async function bytesOf(name: string) {
  const tensor = tensors.get(name)!;
  return { ...tensor, bytes: await source.read(tensor.offset, tensor.byteLength) };
}

async function floats(name: string): Promise<Float32Array> {
  const { type, shape, bytes } = await bytesOf(name);
  const values = new Float32Array(shape.reduce((product, n) => product * n, 1));
  decodeFloats(type as FloatType, bytes, 0, values.length, values);
  return inArena(values);
}

async function bitLinear(name: string): Promise<BitLinear> {
  const { type, shape: [rows = 0, columns = 0], bytes } = await bytesOf(`${name}.weight`);
  const matrix = kernels.createTernary(arena, rows, columns);
  const trits = new Int8Array(columns);
  for (let row = 0; row < rows; row++) {
    decodeTernaryRow(type as 'TQ1_0', bytes, (row * bytes.length) / rows, trits);
    kernels.packRow(matrix, row, trits);
  }
  matrix.scales.fill((await floats(`${name}.scale`))[0]!);
  return new BitLinear(kernels, workspace, matrix, await floats(`${name}.norm.weight`));
}

const norm = async (name: string): Promise<RMSNorm> => new RMSNorm(kernels, await floats(`${name}.weight`), eps);
const bounds = cumulativeLowerBounds(await floats('attn_lower_bounds.weight'), layers, hidden);

async function block(n: number): Promise<Block> {
  const name = `blk.${n}`;
  return new Block(kernels, workspace, {
    tokenNorm: await norm(`${name}.attn_norm`),
    tokenMixer: new MLGRU(kernels, workspace, {
      inputProjection: await bitLinear(`${name}.attn_i`),
      forgetProjection: await bitLinear(`${name}.attn_f`),
      gateProjection: await bitLinear(`${name}.attn_g`),
      gateNorm: await norm(`${name}.attn_g_norm`),
      outputProjection: await bitLinear(`${name}.attn_o`),
      lowerBound: n > 0 ? inArena(bounds.subarray(n * hidden, (n + 1) * hidden)) : undefined,
    }),
    channelNorm: await norm(`${name}.ffn_norm`),
    channelMixer: new GLU(kernels, workspace, await bitLinear(`${name}.ffn_gate`), await bitLinear(`${name}.ffn_down`)),
  });
}

const table = await bytesOf('token_embd.weight');
const embeddings = new Embedding(table.type as FloatType, table.bytes.slice(), vocab, hidden);
const blocks: Block[] = [];
for (let n = 0; n < layers; n++) blocks.push(await block(n));
const finalNorm = await norm('output_norm');
const head = await bitLinear('output');

const { residual } = workspace;
const logits = arena.f32(vocab);

/** One token through the whole model. */
function forward(id: number, state: Float32Array[]): Float32Array {
  embeddings.lookUp(id, residual, 0);
  blocks.forEach((layer, n) => layer.forward(residual, 1, state[n]!));
  finalNorm.forward(residual, 1, residual);
  head.forward(residual, 1, logits);
  return logits;
}

const lm = await MatMulFreeLM.load(file);
const theirs = lm.createState();
const ours = blocks.map((layer) => arena.f32(layer.parts.tokenMixer.stateSize));
let same = true;
for (const id of lm.tokenizer.encode('Once upon a time, there was a little model made by hand.')) {
  const found = forward(id, ours);
  const expected = lm.forward(id, theirs);
  same &&= found.every((value, i) => Object.is(value, expected[i]));
}
console.log(`${layers} blocks composed by hand; same logits as MatMulFreeLM: ${same}`);
if (!same) process.exitCode = 1;
