import type { GoldenTensor } from './files.js';
import type { TinyConfig } from './checkpoints.js';

/*
 * GGUF files written from the format's description, independently of the library: header, quantised blocks, tensor names.
 */

/** A metadata entry: its type, and for an array `[element type]`, then the value. */
export type Entry =
  | readonly [type: 'u8' | 'i8' | 'u16' | 'i16' | 'u32' | 'i32' | 'f32' | 'u64' | 'i64' | 'f64', value: number]
  | readonly [type: 'bool', value: boolean]
  | readonly [type: 'string', value: string]
  | readonly [type: ['string'], value: readonly string[]]
  | readonly [type: ['i32' | 'f32' | 'u32'], value: readonly number[]];

export type Type = 'F32' | 'F16' | 'BF16' | 'Q8_0' | 'TQ1_0' | 'TQ2_0';

/** Types of which `test/support/group-blocks.ts` makes the bytes. */
export type GroupType = 'I2_S' | 'Q1_0' | 'Q2_0' | 'PQ2_0' | 'PTQ1_0';

export interface TensorToWrite {
  readonly type: Type | GroupType;
  /** Another number than that of `type`, whatever the bytes are. */
  readonly typeNumber?: number;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

export interface FileToWrite {
  readonly version?: number;
  readonly alignment?: number;
  readonly metadata: Readonly<Record<string, Entry>>;
  readonly tensors?: Readonly<Record<string, TensorToWrite>>;
}

const TYPE_NUMBERS: Record<string, number> = { F32: 0, F16: 1, BF16: 30, Q8_0: 8, TQ1_0: 34, TQ2_0: 35, I2_S: 36, Q1_0: 41, Q2_0: 42, PQ2_0: 142, PTQ1_0: 143 };
const VALUE_NUMBERS: Record<string, number> = {
  u8: 0, i8: 1, u16: 2, i16: 3, u32: 4, i32: 5, f32: 6, bool: 7, string: 8, array: 9, u64: 10, i64: 11, f64: 12,
};

export function gguf({ version = 3, alignment = 32, metadata, tensors = {} }: FileToWrite): Uint8Array {
  const out: Buffer[] = [];
  const number = (type: string, value: number): void => {
    const bytes = Buffer.alloc(8);
    const length = {
      u8: () => bytes.writeUInt8(value), i8: () => bytes.writeInt8(value), u16: () => bytes.writeUInt16LE(value),
      i16: () => bytes.writeInt16LE(value), u32: () => bytes.writeUInt32LE(value), i32: () => bytes.writeInt32LE(value),
      f32: () => bytes.writeFloatLE(value), f64: () => bytes.writeDoubleLE(value), bool: () => bytes.writeUInt8(value),
      u64: () => bytes.writeBigUInt64LE(BigInt(value)), i64: () => bytes.writeBigInt64LE(BigInt(value)),
    }[type]!();
    out.push(bytes.subarray(0, length));
  };
  const text = (value: string): void => {
    const bytes = Buffer.from(value);
    number('u64', bytes.length);
    out.push(bytes);
  };
  const scalar = (type: string, value: unknown): void => (type === 'string' ? text(String(value)) : number(type, Number(value)));
  const pad = (): void => {
    const length = out.reduce((sum, part) => sum + part.length, 0);
    out.push(Buffer.alloc((alignment - (length % alignment)) % alignment));
  };

  const entries: [string, Entry][] = Object.entries(metadata);
  if (alignment !== 32) entries.push(['general.alignment', ['u32', alignment]]);
  out.push(Buffer.from('GGUF'));
  number('u32', version);
  number('u64', Object.keys(tensors).length);
  number('u64', entries.length);
  for (const [key, [type, value]] of entries) {
    text(key);
    if (typeof type === 'string') {
      number('u32', VALUE_NUMBERS[type]!);
      scalar(type, value);
    } else {
      number('u32', VALUE_NUMBERS['array']!);
      number('u32', VALUE_NUMBERS[type[0]]!);
      number('u64', (value as unknown[]).length);
      for (const item of value as unknown[]) scalar(type[0], item);
    }
  }
  let offset = 0;
  for (const [name, { type, typeNumber, shape, bytes }] of Object.entries(tensors)) {
    text(name);
    number('u32', shape.length);
    for (const n of [...shape].reverse()) number('u64', n);
    number('u32', typeNumber ?? TYPE_NUMBERS[type]!);
    number('u64', offset);
    offset += Math.ceil(bytes.length / alignment) * alignment;
  }
  pad();
  for (const { bytes } of Object.values(tensors)) {
    out.push(Buffer.from(bytes));
    pad();
  }
  return new Uint8Array(Buffer.concat(out));
}

/** The bits of the binary16 number nearest to `value`, ties to even. */
export function halfBits(value: number): number {
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const size = Math.abs(value);
  if (size >= 65520) return sign | 0x7c00;
  const exponent = Math.max(-14, Math.floor(Math.log2(size || 1e-30)));
  const steps = size / 2 ** (exponent - 10); // 1024 to 2047, less if subnormal; 2048 carries into the exponent
  const below = Math.floor(steps);
  const rest = steps - below;
  const rounded = rest > 0.5 || (rest === 0.5 && below % 2 === 1) ? below + 1 : below;
  return sign | (((exponent + 14) << 10) + rounded);
}

type Numbers = ArrayLike<number>;

export function encode(type: Type, values: Numbers): Uint8Array {
  if (type === 'F32') return new Uint8Array(new Float32Array(values).buffer);
  if (type === 'F16' || type === 'BF16') {
    const singles = new Uint32Array(new Float32Array(values).buffer);
    const halves = new Uint16Array(values.length);
    for (let i = 0; i < halves.length; i++) halves[i] = type === 'F16' ? halfBits(values[i]!) : singles[i]! >>> 16;
    return new Uint8Array(halves.buffer);
  }
  if (type === 'Q8_0') return q8(values);
  return ternary(type, values, 1);
}

/** As ggml's reference quantiser: d = max/127 as binary16, q = round(x / (max/127)). */
export function q8(values: Numbers): Uint8Array {
  const out = Buffer.alloc((values.length / 32) * 34);
  for (let block = 0; block < values.length / 32; block++) {
    const own = Array.from({ length: 32 }, (_, i) => values[block * 32 + i]!);
    const d = Math.fround(Math.max(...own.map(Math.abs)) / 127);
    out.writeUInt16LE(halfBits(d), block * 34);
    own.forEach((value, i) => out.writeInt8(d === 0 ? 0 : Math.round(value / d), block * 34 + 2 + i));
  }
  return new Uint8Array(out);
}

/** Blocks of the trits, each with the scale `d`, or what it gives for a block. */
export function ternary(type: 'TQ1_0' | 'TQ2_0', trits: Numbers, d: number | ((block: number) => number)): Uint8Array {
  const blockBytes = type === 'TQ1_0' ? 54 : 66;
  const out = Buffer.alloc((trits.length / 256) * blockBytes);
  for (let block = 0; block < trits.length / 256; block++) {
    const at = block * blockBytes;
    const digit = (i: number): number => trits[block * 256 + i]! + 1;
    if (type === 'TQ2_0') {
      for (let half = 0; half < 256; half += 128) {
        for (let m = 0; m < 32; m++) {
          const i = half + m;
          out[at + half / 4 + m] = digit(i) + 4 * digit(i + 32) + 16 * digit(i + 64) + 64 * digit(i + 96);
        }
      }
    } else {
      /** Five digits, `step` apart, as a number of base 3: the fifth is 0 where there are but four. */
      const pack = (i: number, step: number, fifth: number): number =>
        Math.ceil((((((digit(i) * 3 + digit(i + step)) * 3 + digit(i + 2 * step)) * 3 + digit(i + 3 * step)) * 3 + fifth) * 256) / 243);
      for (let m = 0; m < 32; m++) out[at + m] = pack(m, 32, digit(m + 128));
      for (let m = 0; m < 16; m++) out[at + 32 + m] = pack(160 + m, 16, digit(224 + m));
      for (let m = 0; m < 4; m++) out[at + 48 + m] = pack(240 + m, 4, 0);
    }
    out.writeUInt16LE(halfBits(typeof d === 'number' ? d : d(block)), at + blockBytes - 2);
  }
  return new Uint8Array(out);
}

/** The metadata of a model of this configuration, as formats.md has it. */
export function modelMetadata({ hidden, recurrent, intermediate, layers, vocab, lowerBounds }: TinyConfig): Record<string, Entry> {
  return {
    'general.architecture': ['string', 'hgrn_bit'], 'hgrn_bit.block_count': ['u32', layers], 'hgrn_bit.embedding_length': ['u32', hidden],
    'hgrn_bit.feed_forward_length': ['u32', intermediate], 'hgrn_bit.vocab_size': ['u32', vocab],
    'hgrn_bit.attention.layer_norm_rms_epsilon': ['f32', 1e-6], 'hgrn_bit.use_lower_bound': ['bool', lowerBounds],
    ...(recurrent === undefined ? {} : { 'hgrn_bit.recurrent_length': ['u32', recurrent] as const }),
  };
}

/** A tensor's name in GGUF for its name in a Hugging Face checkpoint. */
export function ggufName(name: string): string {
  if (name === 'model.embeddings.weight') return 'token_embd.weight';
  if (name === 'model.lower_bounds') return 'attn_lower_bounds.weight';
  if (name === 'model.norm.weight') return 'output_norm.weight';
  return name.replace('lm_head', 'output').replace('model.layers', 'blk').replace(/attn\.([ifgo])_proj/, 'attn_$1')
    .replace('attn.g_norm', 'attn_g_norm').replace('mlp_norm', 'ffn_norm').replace(/mlp\.(gate|down)_proj/, 'ffn_$1');
}

export function isTernaryWeight(name: string): boolean {
  return /(_proj|lm_head)\.weight$/.test(name);
}

/** A weight as BitLinear makes it: trits, and the float32 scale they are multiplied by. */
export function quantise({ values }: GoldenTensor): { trits: Float64Array; scale: number } {
  let sum = 0;
  for (const value of values) sum += Math.abs(value);
  const mean = Math.max(sum / values.length, 1e-5);
  const scale = 1 / mean;
  const trits = new Float64Array(values.length);
  for (let i = 0; i < trits.length; i++) trits[i] = Number(values[i]! * scale > 0.5) - Number(values[i]! * scale < -0.5);
  return { trits, scale: Math.fround(mean) };
}

/** Rows made longer with zeros. */
export function padRows(values: Numbers, columns: number, padded: number): Float64Array {
  const rows = values.length / columns;
  const result = new Float64Array(rows * padded);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) result[row * padded + column] = values[row * columns + column]!;
  }
  return result;
}

/**
 * A model's tensors for a GGUF file: `weight` makes what stands for a ternary weight (by default TQ2_0 with d = 1, padded, and a
 * scale tensor), all else is written as `floats`.
 */
export function modelTensors(
  tensors: Record<string, GoldenTensor>, floats: Type = 'F32',
  weight: (name: string, tensor: GoldenTensor) => Record<string, TensorToWrite> = (name, tensor) => blocks('TQ2_0', name, tensor),
): Record<string, TensorToWrite> {
  const result: Record<string, TensorToWrite> = {};
  for (const [hf, tensor] of Object.entries(tensors)) {
    const name = ggufName(hf);
    if (isTernaryWeight(hf)) Object.assign(result, weight(name, tensor));
    else result[name] = { type: floats, shape: tensor.shape, bytes: encode(floats, tensor.values) };
  }
  return result;
}

export function scaleTensor(weight: string, scales: Numbers, type: Type = 'F32'): Record<string, TensorToWrite> {
  return { [weight.replace(/weight$/, 'scale')]: { type, shape: [scales.length], bytes: encode(type, scales) } };
}

/** Trits in blocks with d = 1, and the scale in a tensor of its own. */
export function blocks(type: 'TQ1_0' | 'TQ2_0', name: string, tensor: GoldenTensor): Record<string, TensorToWrite> {
  const [rows, columns] = tensor.shape as [number, number];
  const padded = Math.ceil(columns / 256) * 256;
  const { trits, scale } = quantise(tensor);
  return {
    [name]: { type, shape: [rows, padded], bytes: ternary(type, padRows(trits, columns, padded), 1) },
    ...scaleTensor(name, [scale]),
  };
}
