import { describe, expect, it } from 'vitest';
import { loadModel, type Checkpoint, type Model } from 'matmulfree';
import { ternaryTensors, type Blueprint } from '../../src/architectures/blueprint.js';
import { createOfLibrary, kernelsFor } from '../../bench/contestants.js';
import { attentionOperations, costsOf, heldPages } from '../../bench/library-costs.js';
import { placeAfter, pretendedState } from '../../bench/library-states.js';
import { productsOf } from '../../bench/onnx-file.js';
import { PUBLISHED_SHAPES } from '../../bench/published-shapes.js';
import { KINDS, randomCheckpoint, randomKind, randomWeightsOf, SHAPES } from '../../bench/random-model.js';
import { filesFromMemory, type FileSet } from '../../src/formats/bytes.js';
import { openCheckpoint } from '../../src/checkpoint/open-checkpoint.js';
import { filesFromDisk } from '../../src/platform/disk.js';
import { tinyHybrid } from '../support/families.js';
import { fixture } from '../support/files.js';

const LAYERS = 4;
const weightsIn = (blueprint: Blueprint): number => ternaryTensors(blueprint).reduce((sum, { shape }) => sum + shape[0]! * shape[1]!, 0);

async function load(checkpoint: Checkpoint): Promise<Model> {
  return loadModel(checkpoint, await kernelsFor(checkpoint, 'simd', 1), { contextTokens: 1024 });
}
async function open(files: FileSet): Promise<Model> {
  const checkpoint = await openCheckpoint(files);
  return load(checkpoint).finally(() => checkpoint.close());
}
const fixtureModel = async (name: string): Promise<Model> => open(await filesFromDisk(fixture(`models/${name}`)));

describe('random models of other kinds', () => {
  it.each(KINDS)('%s has as many weights in its layers as the MatMul-free LM of its name', (kind) => {
    const head = { hybrid: 0, BitNet: 32_000 * SHAPES['370M'][0] }[kind]; // a table of floats
    const smallerKeys = { hybrid: LAYERS / 4 * SHAPES['370M'][0] ** 2, BitNet: 0 }[kind]; // two of four matrices, half as many rows, in every fourth layer
    expect(weightsIn(randomKind(kind, '370M', LAYERS).blueprint) + head + smallerKeys).toBe(weightsIn(randomCheckpoint('370M', LAYERS).blueprint));
  });

  it.each([...KINDS])('%s has logits that differ, after any number of tokens, and goes on from there as often as it is asked', async (kind) => {
    const model = await createOfLibrary(kind, randomKind(kind, '370M', LAYERS, 300), { backend: 'simd', threads: 1, positions: [1, 200], prompt: 16 });
    for (const position of [0, 1, 200]) {
      const first = model.read([5, 6], position).slice();
      expect(first.every(Number.isFinite) && new Set(first).size > 1000, `${position}`).toBe(true);
      expect(model.read([5, 6], position)).toEqual(first);
    }
    model.readEach([3, 4, 5]);
    expect(model.memoryAt(100)).toBeLessThanOrEqual(model.memoryAt(200));
    model.dispose();
  });
});

describe('what a model of the library takes', () => {
  it.each(['bitnet-packed', 'hybrid-full', 'llama-bitnet-divide'])('%s: the memory of a text is what a state has, token by token', async (name) => {
    const model = await fixtureModel(name);
    const { memoryAt, costAt } = costsOf(model);
    const state = model.createState();
    const out = new Float32Array(model.parts.config.vocabSize);
    const most = Math.min(200, model.parts.blueprint.maxPositions);
    for (let tokens = 1; tokens <= most; tokens++) {
      model.forwardLast([tokens % 7], state, out);
      expect(state.byteLength, `${tokens} tokens`).toBe(memoryAt(tokens));
    }
    expect(costAt(100).bytes).toBeGreaterThan(costAt(10).bytes);
    expect(costAt(100).floatMultiplications).toBeGreaterThan(costAt(10).floatMultiplications);
    model.dispose();
  });

  it('a window lets go of pages, as a state does', async () => {
    const model = await open(filesFromMemory('tiny', new Map(Object.entries(tinyHybrid([{ layers: [1], num_heads: 4, num_kv_heads: 2, window_size: 128 }])))));
    const state = model.createState();
    const { memoryAt } = costsOf(model);
    for (let tokens = 1; tokens <= 330; tokens++) {
      model.advance([tokens % 7], state);
      expect(state.byteLength, `${tokens} tokens`).toBe(memoryAt(tokens));
    }
    expect([64, 65, 128, 192, 255, 256, 4096].map((tokens) => heldPages(tokens, 128))).toEqual([1, 2, 2, 3, 4, 3, 3]);
    expect(heldPages(4096, Infinity)).toBe(64);
    model.dispose();
  });

  it('attention multiplies each channel of all that it sees twice, and more for softmax', () => {
    const sizes = { heads: 4, kvHeads: 2, headDim: 64, window: 128 };
    expect(attentionOperations(sizes, 9)).toBe(4 * 10 * (2 * 64 + 12));
    expect(attentionOperations(sizes, 1000)).toBe(attentionOperations(sizes, 127));
  });
});

describe('a text that is made up', () => {
  it('is as one that was read: so many tokens, so much memory, and as much time to come', async () => {
    const model = await fixtureModel('bitnet-packed');
    const read = model.createState();
    model.advance(Array.from({ length: 70 }, (_, n) => n % 7), read);
    const made = pretendedState(model, 70);
    expect([made.tokens, made.byteLength]).toEqual([read.tokens, read.byteLength]);
    const place = placeAfter(model, 63);
    const [a, b] = [new Float32Array(model.parts.config.vocabSize), new Float32Array(model.parts.config.vocabSize)];
    place.read([1, 2, 3], a); // over the edge of a page
    place.read([1, 2, 3], b);
    expect(b).toEqual(a);
    place.dispose();
    model.dispose();
  });
});

describe('shapes of models that people use', () => {
  /** Ternary weights: bonsai.md §1.1; of 2B4T those of its 30 layers, its table being floats. */
  const WEIGHTS: Readonly<Record<string, number>> = {
    'Ternary Bonsai 1.7B': 1_719_904_256, 'Ternary Bonsai 4B': 4_021_588_480, 'BitNet 2B4T': 30 * (2 * 2560 * 2560 + 2 * 640 * 2560 + 3 * 2560 * 6912), 'Bonsai 2 2B': 1.88e9,
  };

  it.each(PUBLISHED_SHAPES)('$name has the weights of the published model, and products for all of them', async ({ name, layers, blueprint: describeShape }) => {
    const blueprint = await describeShape(layers);
    if (!blueprint) return expect(name).toBe('Bonsai 2 2B'); // of a family that this version does not know
    expect(weightsIn(blueprint) / WEIGHTS[name]!).toBeCloseTo(1, name === 'Bonsai 2 2B' ? 2 : 12);
    const products = productsOf(blueprint).reduce((sum, { rows, columns }) => sum + rows * columns, 0);
    const table = blueprint.embeddings.isGrouped ? 0 : blueprint.config.vocabSize * blueprint.config.hiddenSize;
    expect(products).toBe(weightsIn(blueprint) + table);
  });

  it('run, with scales for groups', async () => {
    const checkpoint = randomWeightsOf((await PUBLISHED_SHAPES[0]!.blueprint(1))!);
    const small = { ...checkpoint.blueprint.config };
    expect([small.layers, small.vocabSize]).toEqual([1, 151_669]);
    expect(await checkpoint.groupOf!(checkpoint.blueprint.embeddings)).toBe(128);
    const scales = new Float32Array(16 * 4);
    const rows: number[] = [];
    await checkpoint.readGrouped!({ hf: 'x', gguf: 'x', shape: [4, 2048] }, 128, scales, (row, trits) => {
      rows.push(row);
      expect(trits.every((trit) => Math.abs(trit) <= 1) && trits.length === 2048).toBe(true);
    });
    expect(rows).toEqual([0, 1, 2, 3]);
    expect(scales.every((scale) => scale > 0)).toBe(true);
  });
});
