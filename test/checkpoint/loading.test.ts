import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkConversion, convert, createKernels, FormatError, loadModel, MatMulFreeLM, modelBytes, readGguf, sourceFromContent, type ModelSource } from 'matmulfree';
import { filesFromDisk } from '../../src/platform/disk.js';
import { filesFromMemory, type FileSet } from '../../src/formats/bytes.js';
import { openCheckpoint } from '../../src/checkpoint/open-checkpoint.js';
import { SOME_BACKENDS } from '../support/backends.js';
import { configJson, json, randomTensors, safetensors, TINY, tinyCheckpoint, type TinyConfig } from '../support/checkpoints.js';
import { expectSameBits } from '../support/compare.js';
import { blocks, encode, gguf, modelMetadata, modelTensors, padRows, quantise, scaleTensor, ternary, type TensorToWrite } from '../support/gguf-files.js';
import { freshSeed } from '../support/random.js';

type Type = 'TQ1_0' | 'TQ2_0';
const seed = freshSeed();
const BLOCK_BYTES = { TQ1_0: 54, TQ2_0: 66 } as const;

/** Rows of three blocks, the last of which is padded; the head is larger than what is read at once, and no whole number of row blocks. */
const LARGE: TinyConfig = { hidden: 600, intermediate: 40, layers: 1, vocab: 7013, lowerBounds: false };
const LARGE_TENSORS = randomTensors(LARGE, seed);
const tensorsOf = (type: Type): Record<string, TensorToWrite> => modelTensors(LARGE_TENSORS, 'F16', (name, tensor) => blocks(type, name, tensor));
const TENSORS = { TQ1_0: tensorsOf('TQ1_0'), TQ2_0: tensorsOf('TQ2_0') } as const;
const large = (tensors: Record<string, TensorToWrite>): Uint8Array => gguf({ metadata: modelMetadata(LARGE), tensors });

/** A table of more than one piece; -1, 0 and 1 are what every type can hold, Q8_0 127 times as much. */
const TABLE_CONFIG: TinyConfig = { hidden: 256, intermediate: 1, layers: 1, vocab: 4500, lowerBounds: false };
const TABLE_TENSORS = randomTensors(TABLE_CONFIG, seed);
const TABLE = Float32Array.from(TABLE_TENSORS['model.embeddings.weight']!.values, (value) => Math.sign(Math.trunc(value * 4)) || 0);

let folder: string;
beforeAll(async () => { folder = await mkdtemp(join(tmpdir(), 'matmulfree-')); });
afterAll(() => rm(folder, { recursive: true }));

async function load(source: ModelSource, backend = SOME_BACKENDS[0]!): Promise<MatMulFreeLM> {
  return MatMulFreeLM.load(source, { backend: backend.backend, threads: backend.threads });
}
function logitsOf(lm: MatMulFreeLM): Float32Array {
  return lm.forward([1, 7012, 5, 3333], lm.createState(), { all: true });
}

describe.each(['TQ1_0', 'TQ2_0'] as const)(`a %s file of several pieces (seed ${seed})`, (type) => {
  const file = large(TENSORS[type]);
  let expected: MatMulFreeLM;
  let right: Float32Array;
  let saved: Uint8Array;
  let next: Float32Array;
  beforeAll(async () => {
    expected = await load(file);
    right = logitsOf(expected);
    const state = expected.createState();
    expected.forward([4, 5], state);
    saved = state.serialize();
    next = expected.forward([6], state);
  });

  it.each(SOME_BACKENDS)('is the same model with $name: from memory, a Blob, and disk', async (backend) => {
    const path = join(folder, `${type}.gguf`);
    await writeFile(path, file);
    for (const source of [file, new Blob([file as BlobPart]), path]) {
      const lm = await load(source, backend);
      expect(lm.info().fingerprint).toBe(expected.info().fingerprint);
      expect(lm.info().layers).toEqual(expected.info().layers); // the zeros
      expectSameBits(logitsOf(lm), right);
      // A state that was saved with one goes on with the other.
      expectSameBits(lm.forward([6], lm.restoreState(saved)), next);
      lm.dispose();
    }
  });

  it('counts the zeros that are there', () => {
    const head = quantise(LARGE_TENSORS['lm_head.weight']!).trits;
    expect(expected.info().layers.at(-1)!.zeroShare).toBe(head.filter((trit) => trit === 0).length / head.length);
  });

  /** A file with blocks that are not plain. */
  const makeOdd = (): Uint8Array => {
    // As ggml's quantiser writes them: a block of zeros has the scale 0. And a row that is all zeros, whatever its codes say.
    const trits = padRows(quantise(LARGE_TENSORS['lm_head.weight']!).trits, 600, 768);
    trits.fill(0, 3000 * 768, 3000 * 768 + 256);
    const scale = (block: number): number => (block === 3000 * 3 || Math.floor(block / 3) === 5111 ? 0 : 0.5);
    const head = { type, shape: [7013, 768], bytes: ternary(type, trits, scale) };
    return large({ ...TENSORS[type], 'output.weight': head, ...scaleTensor('output.weight', [0.25]) });
  };
  let odd: { readonly file: Uint8Array; readonly lm: MatMulFreeLM; readonly logits: Float32Array } | undefined;
  it.each(SOME_BACKENDS)('where some blocks are not plain, is the same with $name', async (backend) => {
    if (!odd) {
      const file = makeOdd();
      const lm = await load(file);
      odd = { file, lm, logits: logitsOf(lm) };
    }
    const lm = await load(odd.file, backend);
    expect(lm.info()).toEqual({ ...odd.lm.info(), memoryBytes: lm.info().memoryBytes });
    expect(lm.info().fingerprint).not.toBe(expected.info().fingerprint);
    expectSameBits(logitsOf(lm), odd.logits);
    lm.dispose();
  });

  it.each(SOME_BACKENDS)('is refused for the same reason with $name', async (backend) => {
    const { tensors } = await readGguf(sourceFromContent('m.gguf', file));
    const { offset } = tensors.get('output.weight')!;
    const rowBytes = 3 * BLOCK_BYTES[type];
    const spoilt = (edit: (bytes: Uint8Array, at: number) => void): Uint8Array => {
      const bytes = file.slice();
      edit(bytes, offset + 6543 * rowBytes);
      return bytes;
    };
    const cases: [RegExp, Uint8Array][] = [
      [/"output\.weight", row 6543: its blocks have different scales/, spoilt((bytes, at) => { bytes[at + 2 * BLOCK_BYTES[type] - 2]! ^= 4; })],
      [/"output\.weight", row 6543: the padding after column 600 is not zero/, spoilt((bytes, at) => { bytes[at + rowBytes - BLOCK_BYTES[type] + (type === 'TQ2_0' ? 63 : 51)] = 0; })],
      [/"output\.weight", row 6543: its blocks have different scales/, spoilt((bytes, at) => {
        for (let end = BLOCK_BYTES[type]; end <= rowBytes; end += BLOCK_BYTES[type]) bytes[at + end - 1] = 0x7c;
      })],
    ];
    if (type === 'TQ2_0') cases.push([/"output\.weight", row 6543: .*a code that no weight has/, spoilt((bytes, at) => { bytes[at + 66 + 9]! |= 0x30; })]);
    for (const [message, bytes] of cases) {
      const failure = load(bytes, backend);
      await expect(failure).rejects.toThrow(message);
      await expect(failure).rejects.toBeInstanceOf(FormatError);
    }
  });
});

describe('loading', () => {
  let path: string;
  beforeAll(async () => {
    path = join(folder, 'pieces.gguf');
    await writeFile(path, large(TENSORS.TQ2_0));
  });

  it('reads a large GGUF file in pieces, tells of each, and stops between two', async () => {
    const seen: number[] = [];
    let total = 0;
    await MatMulFreeLM.load(path, { onProgress: (progress) => { seen.push(progress.loaded); ({ total } = progress); } });
    const head = 7013 * 3 * 66;
    const table = 7013 * 600 * 2;
    expect(seen.at(-1)).toBe(total);
    const steps = seen.map((loaded, i) => loaded - (seen[i - 1] ?? 0));
    expect(steps.every((step) => step >= 0)).toBe(true);
    expect(Math.max(...steps)).toBeLessThanOrEqual(1024 * 1024);
    expect(steps.filter((step) => step > 1e6).length).toBeGreaterThanOrEqual(Math.floor(table / 1024 / 1024) + Math.floor(head / 1024 / 1024));

    const controller = new AbortController();
    const before = seen.length;
    const stopped = MatMulFreeLM.load(path, {
      signal: controller.signal, onProgress: ({ loaded }) => { seen.push(loaded); if (loaded > total - head / 2) controller.abort(); },
    });
    await expect(stopped).rejects.toMatchObject({ name: 'AbortError' });
    expect(Math.max(...seen.slice(before))).toBeLessThan(total);
  });

  /** The same files, and what is asked of them at once. */
  const watch = (files: FileSet, onRead: (length: number) => void): FileSet => ({
    ...files,
    async open(name) {
      const source = await files.open(name);
      if (!source) return undefined;
      const { readInto } = source;
      return {
        ...source,
        read: (offset, length) => { onRead(length); return source.read(offset, length); },
        ...(readInto && { readInto: (offset, into) => { onRead(into.length); return readInto(offset, into); } }),
      };
    },
  });

  it('asks a GGUF file for no more than a MB or so at a time', async () => {
    let largest = 0;
    const kernels = await createKernels({ threads: 1 });
    const checkpoint = await openCheckpoint(watch(await filesFromDisk(path), (length) => { largest = Math.max(largest, length); }));
    await loadModel(checkpoint, kernels);
    await checkpoint.close();
    expect(largest).toBeLessThanOrEqual(1024 * 1024 + 65536);
  });

  /** Tables that are float32 in memory, but not in the file. */
  const converted: [kind: string, factor: number, files: () => Map<string, Uint8Array>][] = (['Q8_0', 'TQ1_0', 'TQ2_0'] as const).map((type) => [`${type} in GGUF`, type === 'Q8_0' ? 127 : 1, () => {
    const tensors = modelTensors(TABLE_TENSORS);
    const table = { type, shape: TABLE_TENSORS['model.embeddings.weight']!.shape, bytes: encode(type, type === 'Q8_0' ? TABLE.map((value) => value * 127) : TABLE) };
    return new Map([['m.gguf', gguf({ metadata: modelMetadata(TABLE_CONFIG), tensors: { ...tensors, 'token_embd.weight': table } })]]);
  }]);
  it.each([...converted, ['F64 in safetensors', 1, () => {
    const { 'model.embeddings.weight': table, ...rest } = TABLE_TENSORS;
    const weights = safetensors({ ...rest, 'model.embeddings.weight': { ...table!, values: new Float32Array(TABLE.length * 2) } }, (header) => {
      Object.assign(header['model.embeddings.weight']!, { dtype: 'F64', shape: table!.shape });
    });
    weights.set(new Uint8Array(Float64Array.from(TABLE).buffer), weights.length - TABLE.length * 8);
    return new Map([['config.json', json(configJson(TABLE_CONFIG))], ['model.safetensors', weights]]);
  }]] as typeof converted)('reads a table of %s piece by piece to where it is to lie', async (_kind, factor, files) => {
    let largest = 0;
    const checkpoint = await openCheckpoint(watch(filesFromMemory('m', files()), (length) => { largest = Math.max(largest, length); }));
    largest = 0;
    const into = new Uint8Array(TABLE.length * 4);
    let bytes = 0;
    expect((await checkpoint.readTable(checkpoint.blueprint.embeddings, into, { onBytes: (n) => { bytes += n; } })) === into).toBe(true);
    expect(bytes).toBe(checkpoint.storedBytes(checkpoint.blueprint.embeddings));
    expect(largest).toBeLessThanOrEqual(1024 * 1024);
    expect(largest).toBeLessThan(bytes);
    expectSameBits(new Float32Array(into.buffer), TABLE.map((value) => value * factor || 0));
    expect(Buffer.from(await checkpoint.readTable(checkpoint.blueprint.embeddings)).equals(into)).toBe(true);
  });

  it.each(['F32', 'F16', 'BF16'] as const)('names the element of a large %s table that is not finite', async (floats) => {
    const element = 7000 * 600 + 123;
    const { shape, values } = LARGE_TENSORS['model.embeddings.weight']!;
    const bytes = encode(floats, values);
    const size = floats === 'F32' ? 4 : 2;
    for (const [name, last] of [['NaN', [0xff, 0xff]], ['-Infinity', floats === 'F16' ? [0x00, 0xfc] : [0x80, 0xff]]] as const) {
      const spoilt = bytes.slice();
      spoilt.fill(0, element * size, (element + 1) * size).set(last, (element + 1) * size - 2);
      const file = large({ ...TENSORS.TQ2_0, 'token_embd.weight': { type: floats, shape, bytes: spoilt } });
      await expect(MatMulFreeLM.load(file)).rejects.toThrow(`"token_embd.weight" holds ${name} at element ${element}; weights must be finite`);
    }
  });

  it('puts several models into one arena, if asked', async () => {
    const sources = await Promise.all([tinyCheckpoint(TINY, 1), tinyCheckpoint({ ...TINY, vocab: 33 }, 2)].map((files) => collect(convert(files))));
    const kernels = await createKernels({ threads: 1 });
    const checkpoints = await Promise.all(sources.map((source) =>
      openCheckpoint({ name: 'm', list: async () => ['m.gguf'], open: async () => sourceFromContent('m.gguf', source) })));
    const bytes = await Promise.all(checkpoints.map((checkpoint) => modelBytes(checkpoint, kernels)));
    const arena = kernels.createArena(bytes[0]! + bytes[1]!);
    const models = [await loadModel(checkpoints[0]!, kernels, { arena }), await loadModel(checkpoints[1]!, kernels, { arena })];
    for (const [n, model] of models.entries()) {
      expect(model.parts.memoryBytes).toBe(bytes[n]);
      const lm = await MatMulFreeLM.load(sources[n]!);
      const logits = new Float32Array(lm.config.vocabSize);
      model.forwardLast([1, 2, 3], model.createState(), logits);
      expectSameBits(logits, lm.forward([1, 2, 3], lm.createState()));
    }
  });
});

async function collect(chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const part of chunks) parts.push(part);
  return new Uint8Array(Buffer.concat(parts));
}

describe('checking what was converted', () => {
  const wide: TinyConfig = { hidden: 300, intermediate: 40, layers: 2, vocab: 50, lowerBounds: true };
  const tensors = randomTensors(wide, seed);
  const source = { 'config.json': json(configJson(wide)), 'model.safetensors': safetensors(tensors) };

  it.each(['TQ1_0', 'TQ2_0'] as const)('finds %s the same, and tells of its progress', async (type) => {
    const converted = await collect(convert(source, { type }));
    const seen: string[] = [];
    const result = await checkConversion(source, converted, { onProgress: ({ stage, file, loaded, total }) => { if (loaded === total) seen.push(`${stage} ${file}`); } });
    expect(result.tokens).toBeGreaterThanOrEqual(4);
    expect(seen).toEqual(['verify (files in memory)', 'verify model.gguf']);
    // The other way round also: the smaller one first.
    expect(await checkConversion(converted, source)).toEqual(result);
  });

  it('finds what has another weight, scale, norm or table', async () => {
    const converted = await collect(convert(source));
    const file = await readGguf(sourceFromContent('m.gguf', converted));
    const edits: [name: string, at: number, xor: number][] = [
      ['output.weight', 3, 1], ['blk.1.ffn_down.weight', 7 * 66 + 1, 1], ['blk.0.attn_i.scale', 1, 1], ['blk.1.attn_norm.weight', 5, 0x40],
      ['token_embd.weight', 1, 2], ['attn_lower_bounds.weight', 301 * 4 + 2, 4],
    ];
    for (const [name, at, xor] of edits) {
      const spoilt = converted.slice();
      const place = file.tensors.get(name)!.offset + at;
      // A code of TQ2_0 stays one: 0 ↔ 1, 2 → 1.
      spoilt[place]! ^= name.endsWith('.weight') && file.tensors.get(name)!.type === 'TQ2_0' ? ((spoilt[place]! & 3) === 2 ? 3 : 1) : xor;
      await expect(checkConversion(source, spoilt), name).rejects.toThrow(/model\.gguf: is not the same model as \(files in memory\): it has other (logits|weights)/);
    }
    const other = checkConversion(source, await collect(convert(tinyCheckpoint())));
    await expect(other).rejects.toThrow(/another vocabulary/);
    await expect(other).rejects.toBeInstanceOf(FormatError);
  });

  it('stops at a signal, and refuses options it does not know', async () => {
    const converted = await collect(convert(source));
    const controller = new AbortController();
    await expect(checkConversion(source, converted, { signal: controller.signal, onProgress: () => controller.abort() })).rejects.toMatchObject({ name: 'AbortError' });
    await expect(checkConversion(source, converted, { typo: 1 } as never)).rejects.toThrow(/unknown option "typo"/);
  });
});
