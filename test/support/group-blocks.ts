import { encode, halfBits, ternary, type GroupType, type TensorToWrite, type Type } from './gguf-files.js';

/*
 * Blocks of ternary weights for GGUF files, from floats that are ternary in groups: written from the byte layouts (bonsai.md §2,
 * ternary-transformers.md §4.4), independently of the library.
 */

/** `Q2_0 old` is Prism's: the number of Q2_0 and the blocks of PQ2_0. `I2_S ARM` is layout B of the same type. */
export type Format = Exclude<Type, 'Q8_0'> | GroupType | 'Q2_0 old' | 'I2_S ARM';

interface Layout {
  readonly type: Type | GroupType;
  /** Weights that have a scale in common; 0: all of the tensor. */
  readonly group: number;
  readonly bytes: number;
}

const LAYOUTS: Partial<Record<Format, Layout>> = {
  'Q1_0': { type: 'Q1_0', group: 128, bytes: 18 },
  'Q2_0': { type: 'Q2_0', group: 64, bytes: 18 },
  'Q2_0 old': { type: 'Q2_0', group: 128, bytes: 34 },
  'PQ2_0': { type: 'PQ2_0', group: 128, bytes: 34 },
  'PTQ1_0': { type: 'PTQ1_0', group: 128, bytes: 28 },
  'TQ1_0': { type: 'TQ1_0', group: 256, bytes: 54 },
  'TQ2_0': { type: 'TQ2_0', group: 256, bytes: 66 },
  'I2_S': { type: 'I2_S', group: 0, bytes: 0 },
  'I2_S ARM': { type: 'I2_S', group: 0, bytes: 0 },
};

export interface BlockOptions {
  /** The scale of a block of zeros: any number is right. */
  readonly zeroScale?: number;
  /** A scale that float16 does not hold is rounded; by default it is an error of the test. */
  readonly mayRound?: boolean;
}

interface Weight {
  readonly shape: readonly number[];
  readonly values: ArrayLike<number>;
}

/** Can the tensor be written so, without loss? */
export function fits(format: Format, weight: Weight, options: BlockOptions = {}): boolean {
  try {
    encodeWeight(format, weight, options);
    return true;
  } catch {
    return false;
  }
}

/** One tensor in a format. Throws where that would lose anything. */
export function encodeWeight(format: Format, weight: Weight, options: BlockOptions = {}): TensorToWrite {
  const { shape, values } = weight;
  const layout = LAYOUTS[format];
  if (!layout) return { type: format as Type, shape, bytes: encodeExactly(format as Type, values) };
  const { type, group } = layout;
  if (group > 0 && shape.at(-1)! % group !== 0) throw new Error(`rows of ${shape.at(-1)} cannot be written as ${format}`);
  if (group === 0) return { type, shape, bytes: i2s(values, format === 'I2_S' ? 32 : 16) };
  const { trits, scales } = groupsOf(values, group);
  const halves = scales.map((scale) => half(scale === 0 ? options.zeroScale ?? 0 : scale, options.mayRound));
  if (type === 'TQ1_0' || type === 'TQ2_0') return { type, shape, bytes: ternary(type, trits, (block) => halfValue(halves[block]!)) };
  const out = new Uint8Array(scales.length * layout.bytes);
  const view = new DataView(out.buffer);
  for (let block = 0; block < scales.length; block++) {
    const own = trits.subarray(block * group, (block + 1) * group);
    const at = block * layout.bytes;
    view.setUint16(type === 'PTQ1_0' ? at + 26 : at, halves[block]!, true);
    if (type === 'Q1_0') writeBits(out, at + 2, own, scales[block] === 0);
    else if (type === 'PTQ1_0') writeTrits(out, at, own);
    else own.forEach((trit, j) => { out[at + 2 + Math.floor(j / 4)]! |= (trit + 1) << (2 * (j % 4)); });
  }
  return { type, shape, bytes: out };
}

/** The tensor with another scale in one block, or another code (3 is none of a trit) for the block's first weight. */
export function spoil(tensor: TensorToWrite, format: Format, { block = 0, d, code }: { block?: number; d?: number; code?: number }): TensorToWrite {
  const layout = LAYOUTS[format];
  if (!layout) throw new Error(`nothing to spoil in ${format}`);
  if (code !== undefined && !['Q2_0', 'PQ2_0', 'TQ2_0', 'I2_S'].includes(layout.type)) throw new Error(`${format} has no codes of two bits`);
  const bytes = tensor.bytes.slice();
  const view = new DataView(bytes.buffer);
  const isLast = ['TQ1_0', 'TQ2_0', 'PTQ1_0'].includes(layout.type);
  const at = block * layout.bytes;
  if (layout.type === 'I2_S') {
    if (d !== undefined) view.setFloat32(bytes.length - 32, d, true);
    if (code !== undefined) bytes[block * 32] = (bytes[block * 32]! & 0x3f) | (code << 6);
  } else {
    if (d !== undefined) view.setUint16(isLast ? at + layout.bytes - 2 : at, Number.isNaN(d) ? 0x7e00 : halfBits(d), true);
    if (code !== undefined) {
      const first = isLast ? at : at + 2;
      bytes[first] = (bytes[first]! & 0xfc) | code;
    }
  }
  return { ...tensor, bytes };
}

/** Trits and scales of floats that are 0 or ± one number in each group. */
export function groupsOf(values: ArrayLike<number>, group: number): { trits: Int8Array; scales: number[] } {
  const trits = new Int8Array(values.length);
  const scales: number[] = [];
  for (let start = 0; start < values.length; start += group) {
    let scale = 0;
    for (let i = start; i < start + group; i++) scale = Math.max(scale, Math.abs(values[i]!));
    for (let i = start; i < start + group; i++) {
      if (values[i] !== 0 && Math.abs(values[i]!) !== scale) throw new Error(`weight ${i} is ${values[i]}, in a group of ±${scale}`);
      trits[i] = Math.sign(values[i]!);
    }
    scales.push(scale);
  }
  return { trits, scales };
}

/** Bytes of floats; a number that the type does not hold is an error. */
export function encodeExactly(type: Type, values: ArrayLike<number>): Uint8Array {
  if (type === 'F16') for (let i = 0; i < values.length; i++) half(values[i]!);
  if (type === 'BF16') {
    const bits = new Uint32Array(Float32Array.from(values).buffer);
    const at = bits.findIndex((word) => (word & 0xffff) !== 0);
    if (at >= 0) throw new Error(`bfloat16 does not hold ${values[at]}`);
  }
  return encode(type, values);
}

function half(value: number, mayRound = false): number {
  const bits = halfBits(value);
  if (!mayRound && halfValue(bits) !== value) throw new Error(`float16 does not hold ${value}`);
  return bits;
}

/** Of finite numbers. */
function halfValue(bits: number): number {
  const exponent = (bits >> 10) & 31;
  const size = exponent === 0 ? (bits & 1023) * 2 ** -24 : (1024 + (bits & 1023)) * 2 ** (exponent - 25);
  return bits >> 15 ? -size : size;
}

/** Q1_0: bit j % 8 of byte j / 8; 1 is +d, 0 is -d. Zeros only where all are, with any bits. */
function writeBits(out: Uint8Array, at: number, trits: Int8Array, areZeros: boolean): void {
  trits.forEach((trit, j) => {
    if (trit === 0 && !areZeros) throw new Error('a zero among ± cannot be written as Q1_0');
    if (trit > 0) out[at + (j >> 3)]! |= 1 << (j & 7);
  });
}

/** PTQ1_0: 16 bytes of five trits 16 apart, 8 of five trits 8 apart, 2 of four trits 2 apart; first trit first. */
function writeTrits(out: Uint8Array, at: number, trits: Int8Array): void {
  const pack = (first: number, step: number, count: number): number => {
    let number = 0;
    for (let n = 0; n < 5; n++) number = number * 3 + (n < count ? trits[first + n * step]! + 1 : 0);
    return Math.ceil((number * 256) / 243);
  };
  for (let m = 0; m < 16; m++) out[at + m] = pack(m, 16, 5);
  for (let m = 0; m < 8; m++) out[at + 16 + m] = pack(80 + m, 8, 5);
  for (let h = 0; h < 2; h++) out[at + 24 + h] = pack(120 + h, 2, 4);
}

/** I2_S: `run` bytes hold four runs of as many weights, the first in the top bits; behind all of them the scale, and 28 bytes of anything. */
function i2s(values: ArrayLike<number>, run: 16 | 32): Uint8Array {
  const { trits, scales: [scale] } = groupsOf(values, values.length);
  if (values.length % (4 * run) !== 0) throw new Error(`${values.length} weights are not whole blocks of I2_S`);
  const out = new Uint8Array(values.length / 4 + 32).fill(0xa5, values.length / 4);
  for (let i = 0; i < trits.length; i++) {
    const block = Math.floor(i / (4 * run));
    const g = Math.floor(i / run) % 4;
    out[block * run + (i % run)]! |= (trits[i]! + 1) << (6 - 2 * g);
  }
  new DataView(out.buffer).setFloat32(values.length / 4, scale!, true);
  return out;
}
