import { createWriteStream, existsSync } from 'node:fs';
import { rename } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { parameters, type Blueprint } from '../src/architectures/blueprint.js';
import { KEYS } from '../src/checkpoint/gguf-metadata.js';
import { metadataOf } from '../src/convert/gguf-keys.js';
import { typeInfo } from '../src/formats/ggml-types.js';
import type { GgufMetadata, GgufValue } from '../src/formats/gguf.js';
import { writeGguf, type GgufTensorToWrite } from '../src/formats/gguf-writer.js';
import { randomFloat } from './random-model.js';

/* GGUF files of the shapes of models that people use, with random weights, as such models are published: what is ternary in blocks. */

/** How GGUF files have ternary weights. */
export type TernaryType = 'Q2_0' | 'PQ2_0' | 'TQ2_0';

/** Blocks are cut from this many random bytes, at shifting places. */
const POOL = 1 << 20;

/** A model of whatever blueprint, written once, and kept: its ternary weights in blocks of `type`, a table of floats in float16. */
export async function shapeFile(path: string, blueprint: Blueprint, type: TernaryType): Promise<string> {
  if (existsSync(path)) return path;
  const metadata = new Map<string, GgufValue>([
    [KEYS.architecture, { type: 'string', value: blueprint.architecture }], ...(await metadataOf(blueprint)), [KEYS.eosTokenId, { type: 'u32', value: 2 }],
    ...tokenizer(blueprint.config.vocabSize),
  ]) satisfies GgufMetadata;
  const random = createRandom();
  const pool = Uint8Array.from({ length: POOL + (1 << 16) }, () => [0, 2, 4, 6].reduce((byte, shift) => byte | (Math.floor(random() * 3) << shift), 0));
  const tensors = parameters(blueprint).map(({ tensor, held }): GgufTensorToWrite => {
    const { gguf: name, shape } = tensor;
    if (held === 'ternary') return { name, type, shape, bytes: async () => blocks(type, shape, pool, random) };
    const count = shape.reduce((product, n) => product * n, 1);
    if (held === 'table') return { name, type: 'F16', shape, bytes: async () => new Uint8Array(Uint16Array.from({ length: count }, (_, n) => 0x2c00 | ((Math.imul(n, 0x9e3779b1) >>> 16) & 0x83ff)).buffer) };
    return { name, type: 'F32', shape, bytes: async () => new Uint8Array(Float32Array.from({ length: count }, () => randomFloat(name, random)).buffer) };
  });
  await pipeline(Readable.from(writeGguf(metadata, tensors)), createWriteStream(`${path}.part`));
  await rename(`${path}.part`, path);
  return path;
}

/** Scales are those of 128 columns in Q2_0's blocks of 64, and of 256 in TQ2_0's. */
function blocks(type: TernaryType, [rows = 0, columns = 0]: readonly number[], pool: Uint8Array, random: () => number): Uint8Array {
  const { blockSize, blockBytes } = typeInfo(type);
  const bytes = new Uint8Array((rows * columns * blockBytes) / blockSize);
  const isScaleLast = type === 'TQ2_0';
  const perScale = Math.max(1, 128 / blockSize);
  for (let at = 0, block = 0, half = 0; at < bytes.length; at += blockBytes, block++) {
    if (block % perScale === 0) half = 0x2400 + Math.floor(random() * 0x400); // 1/64 to 1/32
    const codes = at + (isScaleLast ? 0 : 2);
    const from = Math.floor(random() * POOL);
    bytes.set(pool.subarray(from, from + blockBytes - 2), codes);
    const scale = isScaleLast ? at + blockBytes - 2 : at;
    bytes[scale] = half & 255;
    bytes[scale + 1] = half >> 8;
  }
  return bytes;
}

/** A vocabulary of that size: bytes, pairs of bytes, and some of three. */
function tokenizer(size: number): [string, GgufValue][] {
  const printable = [...Array.from({ length: 94 }, (_, n) => 33 + n), ...Array.from({ length: 12 }, (_, n) => 161 + n), ...Array.from({ length: 82 }, (_, n) => 174 + n)];
  const characters = Array.from({ length: 256 }, (_, n) => String.fromCharCode(printable[n] ?? 256 + n - printable.length));
  const tokens = [...characters];
  const merges: string[] = [];
  for (let n = 0; tokens.length < size; n++) {
    const [left, right] = n < 65_536 ? [characters[n % 256]!, characters[n >> 8]!] : [tokens[256 + n - 65_536]!, characters[n % 256]!];
    tokens.push(left + right);
    merges.push(`${left} ${right}`);
  }
  return [
    [KEYS.tokenizerModel, { type: 'string', value: 'gpt2' }], [KEYS.pre, { type: 'string', value: 'qwen2' }],
    [KEYS.tokens, { type: 'array', of: 'string', value: tokens }],
    [KEYS.tokenTypes, { type: 'array', of: 'i32', value: tokens.map(() => 1) }],
    [KEYS.merges, { type: 'array', of: 'string', value: merges }], [KEYS.addBos, { type: 'bool', value: false }],
  ];
}

function createRandom(): () => number {
  let seed = 1;
  return () => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return seed / 2 ** 32;
  };
}
