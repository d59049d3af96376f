/*
 * A model of your own from the low-level pieces: a list of blocks, each a token mixer and a channel mixer. Here it is put
 * together as a MatMul-free LM, block by block, on the embedded weights, and gives the same logits as the library's own
 * model. Then one block gets attention in place of the recurrence, and the model is a hybrid. Replace a mixer by yours, share one
 * between blocks, add a head: npx tsx examples/compose.ts
 */
import { readFile } from 'node:fs/promises';
import {
  allocateWorkspace, Attention, BIT_LINEAR_EPS, BitLinear, Block, createKernels, cumulativeLowerBounds, decodeFloats, decodeTernaryRow, Embedding,
  GLU, MatMulFreeLM, MLGRU, readGguf, RMSNorm, Rope, sourceFromContent, type FloatType, type PageTable,
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
const kernels = await createKernels({ threads: 1, transformer: true });
const arena = kernels.createArena(16 * 2 ** 20);
const workspace = allocateWorkspace(arena, { hidden, recurrent: hidden, intermediate, query: hidden, key: hidden }, 1);

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

async function norm(name: string, normEps = eps): Promise<RMSNorm> {
  return new RMSNorm(kernels, await floats(`${name}.weight`), normEps);
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
  return new BitLinear(kernels, workspace, matrix, await norm(`${name}.norm`, BIT_LINEAR_EPS));
}

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
    channelMixer: new GLU(kernels, workspace, {
      gateProjection: await bitLinear(`${name}.ffn_gate`),
      downProjection: await bitLinear(`${name}.ffn_down`),
    }),
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

/** One token through the whole model. A block's memory is a vector, or tells where keys and values are. */
function forward(id: number, memory: readonly (Float32Array | PageTable[])[]): Float32Array {
  embeddings.lookUp(id, residual, 0);
  blocks.forEach((layer, n) => layer.forward(residual, 1, memory[n]!));
  finalNorm.forward(residual, 1, residual);
  head.forward(residual, 1, logits);
  return logits;
}

const lm = await MatMulFreeLM.load(file);
const theirs = lm.createState();
const ours = blocks.map(() => arena.f32(hidden));
let same = true;
for (const id of lm.tokenizer.encode('Once upon a time, there was a little model made by hand.')) {
  const found = forward(id, ours);
  const expected = lm.forward(id, theirs);
  same &&= found.every((value, i) => Object.is(value, expected[i]));
}
console.log(`${layers} blocks composed by hand; same logits as MatMulFreeLM: ${same}`);
if (!same) process.exitCode = 1;

// A hybrid: block 3 looks back at the last 16 tokens with four heads. Nobody has trained it so, hence its projections are those of the gates.
const [heads, window] = [4, 16];
const headDim = hidden / heads;
const { inputProjection, forgetProjection, gateProjection, outputProjection } = (blocks[3]!.parts.tokenMixer as MLGRU).parts;
const pageElements = 2 * hidden * 64; // keys and values of 64 positions
const pages = { elements: arena.f32(pageElements), pageElements, kvHeads: heads, headDim };
const rope = new Rope({ pairs: headDim / 2, theta: 10_000 }, arena.f32(headDim));
const parts = { queryProjection: inputProjection, keyProjection: forgetProjection, valueProjection: gateProjection, outputProjection };
blocks[3] = new Block(kernels, workspace, { ...blocks[3]!.parts, tokenMixer: new Attention(kernels, workspace, parts, rope, pages, window) });

const numbers = arena.u32(1); // of the one page that there is
const states = blocks.map(() => arena.f32(hidden));
let position = 0;
for (const id of lm.tokenizer.encode('A hybrid of both kinds.')) {
  forward(id, states.map((state, n) => (n === 3 ? [{ pages: numbers, firstPage: 0, row: 0, tokens: 1, position }] : state)));
  position++;
}
console.log(`a hybrid read ${position} tokens: ${4 * hidden * (layers - 1)} bytes of states, ${8 * hidden} bytes of keys and values for each of the last ${window} tokens`);
