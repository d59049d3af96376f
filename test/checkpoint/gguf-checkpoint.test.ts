import { describe, expect, it } from 'vitest';
import { ConfigError, convert, FormatError, MatMulFreeLM, type ModelSource } from 'matmulfree';
import { configJson, json, randomTensors, safetensors, TINY, type TinyConfig } from '../support/checkpoints.js';
import { expectSameBits } from '../support/compare.js';
import { halfToNumber, type GoldenTensor } from '../support/files.js';
import {
  blocks, encode, gguf, halfBits, modelMetadata, modelTensors, padRows, quantise, scaleTensor, ternary, type TensorToWrite, type Type,
} from '../support/gguf-files.js';
import { freshSeed } from '../support/random.js';

/** Rows that are whole blocks of 32, but not of 256. */
const WIDE: TinyConfig = { hidden: 64, intermediate: 96, layers: 2, vocab: 12, lowerBounds: true };
const seed = freshSeed();

type Tensors = Record<string, GoldenTensor>;
type Weight = (name: string, tensor: GoldenTensor) => Record<string, TensorToWrite>;

const IDS = [1, 5, 0, 7, 7, 2];
async function logits(source: ModelSource): Promise<Float32Array> {
  const lm = await MatMulFreeLM.load(source);
  return lm.forward(IDS, lm.createState(), { all: true });
}
const folder = (config: TinyConfig, tensors: Tensors): ModelSource =>
  ({ 'config.json': json(configJson(config, { bos_token_id: null, eos_token_id: null })), 'model.safetensors': safetensors(tensors) });
const file = (config: TinyConfig, tensors: Tensors, floats: Type = 'F32', weight?: Weight, version = 3): Uint8Array =>
  gguf({ version, metadata: modelMetadata(config), tensors: modelTensors(tensors, floats, weight) });
const asFloats = (type: Type): Weight => (name, { shape, values }) => ({ [name]: { type, shape, bytes: encode(type, values) } });
const map = (tensors: Tensors, change: (value: number, i: number, all: ArrayLike<number>) => number): Tensors =>
  Object.fromEntries(Object.entries(tensors).map(([name, { shape, values }]) => [name, { shape, values: Float32Array.from(values, (v, i) => change(v, i, values)) }]));
/** What a Q8_0 reader makes of `values`. */
const throughQ8 = (value: number, i: number, all: ArrayLike<number>): number => {
  const block = Array.from({ length: 32 }, (_, j) => all[i - (i % 32) + j]!);
  const d = Math.fround(Math.max(...block.map(Math.abs)) / 127);
  return Math.round(value / d) * halfToNumber(halfBits(d));
};

describe(`files of another writer give the logits of the checkpoint, bit for bit (seed ${seed})`, () => {
  const tensors = randomTensors(WIDE, seed);

  it.each([2, 3])('version %i, blocks of both types with a scale tensor, another alignment', async (version) => {
    for (const [config, alignment] of [[WIDE, 32], [TINY, 8], [{ ...TINY, recurrent: 300, lowerBounds: false }, 64]] as const) {
      const own = randomTensors(config, seed);
      const expected = await logits(folder(config, own));
      for (const type of ['TQ1_0', 'TQ2_0'] as const) {
        const written = modelTensors(own, 'F32', (name, tensor) => blocks(type, name, tensor));
        expectSameBits(await logits(gguf({ version, alignment, metadata: modelMetadata(config), tensors: written })), expected);
      }
    }
  });

  it('float weights, which are quantised: F32, F16, BF16, Q8_0; embeddings and norms too', async () => {
    expectSameBits(await logits(file(WIDE, tensors, 'F32', asFloats('F32'))), await logits(folder(WIDE, tensors)));
    const halves = map(tensors, (value) => halfToNumber(halfBits(value)));
    expectSameBits(await logits(file(WIDE, halves, 'F16', asFloats('F16'))), await logits(folder(WIDE, halves)));
    const cut = map(tensors, (value) => new Float32Array(Uint32Array.of(new Uint32Array(Float32Array.of(value).buffer)[0]! & 0xffff0000).buffer)[0]!);
    expectSameBits(await logits(file(WIDE, cut, 'BF16', asFloats('BF16'))), await logits(folder(WIDE, cut)));
    expectSameBits(await logits(file(WIDE, tensors, 'Q8_0', asFloats('Q8_0'))), await logits(folder(WIDE, map(tensors, throughQ8))));
  });

  it('float weights in rows that are padded', async () => {
    const padded: Weight = (name, { shape: [rows = 0, columns = 0], values }) =>
      ({ [name]: { type: 'F32', shape: [rows, 256], bytes: encode('F32', padRows(values, columns, 256)) } });
    expectSameBits(await logits(file(WIDE, tensors, 'F32', padded)), await logits(folder(WIDE, tensors)));
    const spoilt: Weight = (name, tensor) => {
      const written = padded(name, tensor);
      written[name]!.bytes[255 * 4 + 3] = 0x3f;
      return written;
    };
    await expect(logits(file(WIDE, tensors, 'F32', spoilt))).rejects.toThrow(/row 0: the padding after column 64 is not zero/);
  });

  it('embeddings and norms in ternary blocks', async () => {
    const config: TinyConfig = { hidden: 256, intermediate: 256, layers: 1, vocab: 9, lowerBounds: true };
    const rounded = map(randomTensors(config, seed), (value) => 0.5 * Number(value > 0.2) - 0.5 * Number(value < -0.2));
    const own = { ...randomTensors(config, seed) };
    for (const name of Object.keys(own)) if (/embeddings|norm/.test(name)) own[name] = rounded[name]!;
    const written = modelTensors(own);
    for (const [name, tensor] of Object.entries(written)) {
      if (!/token_embd|norm/.test(name)) continue;
      const values = new Float32Array(tensor.bytes.buffer);
      written[name] = { ...tensor, type: 'TQ1_0', bytes: ternary('TQ1_0', values.map((v) => v * 2), 0.5) };
    }
    expectSameBits(await logits(gguf({ metadata: modelMetadata(config), tensors: written })), await logits(folder(config, own)));
  });
});

describe('ternary weights written out in another type are taken as they are', () => {
  const tensors = randomTensors(WIDE, seed);
  const half = halfToNumber(halfBits(0.0371));

  it('with their scale in them', async () => {
    const expected = await logits(folder(WIDE, tensors));
    const writtenOut: Weight = (name, tensor) => {
      const { trits, scale } = quantise(tensor);
      return { [name]: { type: 'F32', shape: tensor.shape, bytes: encode('F32', trits.map((t) => t * scale)) } };
    };
    expectSameBits(await logits(file(WIDE, tensors, 'F32', writtenOut)), expected);
  });

  it.each(['F32', 'F16', 'BF16', 'Q8_0'] as const)('as -1, 0, 1 in %s, with a scale tensor', async (type) => {
    const ones: Weight = (name, tensor) => {
      const { trits, scale } = quantise(tensor);
      const bytes = encode(type, trits);
      if (type === 'Q8_0') for (let at = 0; at < bytes.length; at += 34) {
        bytes.set([0, 0x3c], at); // d = 1
        for (let i = 2; i < 34; i++) bytes[at + i] = trits[(at / 34) * 32 + i - 2]!;
      }
      return { [name]: { type, shape: tensor.shape, bytes }, ...scaleTensor(name, [scale]) };
    };
    expectSameBits(await logits(file(WIDE, tensors, 'F32', ones)), await logits(folder(WIDE, tensors)));
  });

  it('from Q8_0 and F16 as ggml quantises them', async () => {
    const scaled = (bytes: (trits: Float64Array) => [Type, Uint8Array], scale: number): [Weight, Weight] => [
      (name, tensor) => {
        const [type, data] = bytes(quantise(tensor).trits);
        return { [name]: { type, shape: tensor.shape, bytes: data } };
      },
      (name, tensor) => ({ ...blocks('TQ2_0', name, tensor), ...scaleTensor(name, [scale]) }),
    ];
    const q8Scale = halfToNumber(halfBits(Math.fround(half / 127))) * 127;
    for (const [given, expected] of [
      scaled((trits) => ['F16', encode('F16', trits.map((t) => t * half))], half),
      scaled((trits) => ['Q8_0', encode('Q8_0', trits.map((t) => t * half))], q8Scale),
    ]) expectSameBits(await logits(file(WIDE, tensors, 'F32', given)), await logits(file(WIDE, tensors, 'F32', expected)));
  });

  it('refuses a scale beside floats that are not', async () => {
    const both: Weight = (name, tensor) => ({ ...asFloats('F32')(name, tensor), ...scaleTensor(name, [1]) });
    await expect(logits(file(WIDE, tensors, 'F32', both))).rejects.toThrow(/has a scale tensor, so its rows must be -1, 0 and 1 times one number/);
  });

  it('does not mistake short rows for weights with a scale each', async () => {
    const config: TinyConfig = { hidden: 1, intermediate: 1, layers: 2, vocab: 8, lowerBounds: true };
    const own = randomTensors(config, seed);
    expectSameBits(await logits(file(config, own, 'F32', asFloats('F32'))), await logits(folder(config, own)));
  });
});

describe('scales in the blocks', () => {
  const config: TinyConfig = { hidden: 512, intermediate: 512, layers: 1, vocab: 8, lowerBounds: true };
  const tensors = randomTensors(config, seed);
  /** Zeros in every other block of a row, as some weights have them. */
  const holed = (trits: Float64Array): Float64Array => trits.map((trit, i) => (Math.floor(i / 256) % 2 === 0 ? trit : 0));
  const weights = (d: number | ((block: number) => number), scale: number[] | undefined, trits: (trits: Float64Array) => Float64Array = (t) => t): Weight =>
    (name, tensor) => ({
      [name]: { type: 'TQ2_0', shape: tensor.shape, bytes: ternary('TQ2_0', trits(quantise(tensor).trits), d) },
      ...(scale ? scaleTensor(name, scale.length === 1 ? scale : Array.from({ length: tensor.shape[0]! }, (_, row) => scale[row % scale.length]!)) : {}),
    });
  const of = (weight: Weight): Promise<Float32Array> => logits(file(config, tensors, 'F32', weight));

  it('of a tensor, of each row, and times a scale tensor', async () => {
    expectSameBits(await of(weights(0.25, undefined)), await of(weights(1, [0.25])));
    expectSameBits(await of(weights(0.25, [3])), await of(weights(1, [0.75])));
    const ofRow = (block: number): number => 1 + (Math.floor(block / 2) % 8) / 8;
    const list = Array.from({ length: 8 }, (_, row) => 1 + row / 8);
    expectSameBits(await of(weights(ofRow, undefined)), await of(weights(1, list)));
    const asF32: Weight = (name, tensor) => {
      const values = quantise(tensor).trits.map((trit, i) => trit * list[Math.floor(i / 512) % 8]!);
      return { [name]: { type: 'F32', shape: tensor.shape, bytes: encode('F32', values) } };
    };
    expectSameBits(await of(asF32), await of(weights(1, list)));
  });

  it('of blocks of zeros mean nothing, as ggml writes 0 there; a scale of 0 makes zeros', async () => {
    const expected = await of(weights(0.5, undefined, holed));
    expectSameBits(await of(weights((block) => (block % 2 ? 0 : 0.5), undefined, holed)), expected);
    expectSameBits(await of(weights((block) => (block % 2 ? 7 : 0.5), undefined, holed)), expected);
    expectSameBits(await of(weights((block) => (block % 2 ? 0 : 0.5), undefined)), expected);
  });

  it('a whole row of zeros with the scale 0 leaves the tensor its one scale, so that it converts', async () => {
    const firstRowZero: Weight = (name, tensor) => weights((block) => (block < 2 ? 0 : 0.5), undefined)(name, tensor);
    const source = file(config, tensors, 'F32', firstRowZero);
    const parts: Uint8Array[] = [];
    for await (const part of convert(source)) parts.push(part);
    expectSameBits(await logits(new Uint8Array(Buffer.concat(parts))), await logits(source));
  });

  it('that differ within a row are refused, and so are NaN and infinity', async () => {
    await expect(of(weights((block) => 1 + (block % 2), undefined))).rejects.toThrow(/tensor "\S+", row 0: its blocks have different scales/);
    for (const bad of [NaN, Infinity]) {
      const spoilt: Weight = (name, tensor) => {
        const written = weights(1, undefined)(name, tensor);
        written[name]!.bytes.set([Number.isNaN(bad) ? 1 : 0, 0x7c], 64);
        return written;
      };
      await expect(of(spoilt)).rejects.toThrow(FormatError);
    }
  });

  it('scale tensors of another shape or type are refused', async () => {
    await expect(of((name, tensor) => ({ ...weights(1, undefined)(name, tensor), ...scaleTensor(name, [1, 2, 3]) }))).rejects.toThrow(/must be one number or 512, F32, F16 or BF16; it is F32 \[3\]/);
    await expect(of((name, tensor) => ({ ...weights(1, undefined)(name, tensor), ...scaleTensor(name, new Array<number>(32).fill(1), 'Q8_0') }))).rejects.toThrow(/it is Q8_0 \[32\]/);
  });
});

describe('metadata', () => {
  const tensors = randomTensors(TINY, 1);
  const load = (more: Parameters<typeof gguf>[0]['metadata'], without: string[] = []): Promise<MatMulFreeLM> => {
    const metadata = { ...modelMetadata(TINY), ...more };
    for (const key of without) delete metadata[key];
    return MatMulFreeLM.load(gguf({ metadata, tensors: modelTensors(tensors) }));
  };

  it.each([
    [{ 'general.architecture': ['string', 'mamba'] }, /general\.architecture is "mamba"; only "hgrn_bit"/],
    [{ 'general.architecture': ['string', 'llama'] }, /metadata key llama\.block_count is missing/],
    [{ 'hgrn_bit.ternary_row_alignment': ['u32', 100] }, /ternary_row_alignment is 100, not a multiple of 256/],
    [{ 'hgrn_bit.ternary_row_alignment': ['string', '256'] }, /ternary_row_alignment is "256"/],
    [{ 'hgrn_bit.block_count': ['u32', 3] }, /tensor "blk\.2\.\S+" \[12\] is missing/],
  ] as [Parameters<typeof gguf>[0]['metadata'], RegExp][])('%j is refused', async (more, message) => {
    const error = await load(more).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(ConfigError);
    expect(String(error)).toMatch(message);
  });

  it('a key that is missing', () => expect(load({}, ['hgrn_bit.embedding_length'])).rejects.toThrow(/hgrn_bit\.embedding_length is missing/));
});
