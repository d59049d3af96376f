import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import { argmax, MatMulFreeLM } from 'matmulfree';
import { buildFloatMatMulFree } from '../../bench/baselines/float-matmulfree.js';
import type { FloatModel } from '../../bench/baselines/float-model.js';
import { openLlama } from '../../bench/baselines/llama-checkpoint.js';
import { randomWeights } from '../../bench/baselines/random-transformer.js';
import { eachLogitsOf } from '../../bench/baselines/score.js';
import { buildTransformer } from '../../bench/baselines/transformer.js';
import { judgeStories } from '../../bench/stories.js';
import { filesFromMemory, type FileSet } from '../../src/formats/bytes.js';
import { openCheckpoint } from '../../src/checkpoint/open-checkpoint.js';
import { filesFromDisk } from '../../src/platform/disk.js';
import { configJson, randomTensors, safetensors, type TinyConfig } from '../support/checkpoints.js';
import { maxDifference } from '../support/compare.js';
import { effort, FULL } from '../support/effort.js';
import { EMBEDDED, fixture, HAS_SHARED, readTensors, shared, SHARED_NOTE, type GoldenTensor } from '../support/files.js';
import { FLOAT_BACKENDS } from '../support/float-backends.js';
import { freshSeed, randomFrom } from '../support/random.js';
import { llamaConfigJson, randomLlama, runLlamaReference, type LlamaShape } from '../support/reference-llama.js';
import { runReference } from '../support/reference-model.js';

const seed = freshSeed();
const LLAMA: LlamaShape = { hidden: 32, intermediate: 48, layers: 3, heads: 3, headSize: 16, vocab: 64, theta: 10_000 };
const MATMUL_FREE: TinyConfig = { hidden: 32, intermediate: 48, layers: 3, vocab: 64, lowerBounds: true };
/** Float32 against float64, on logits of a few units. */
const TOLERANCE = 2e-4;
/** Just enough for one layer, the work space, and the head: so the model is spread over three memories. */
const SMALL_MEMORY = { llama: 240_000, matmulFree: 160_000 };

const inMemory = (config: Record<string, unknown>, tensors: Record<string, GoldenTensor>): FileSet => filesFromMemory('tiny', new Map([
  ['config.json', new TextEncoder().encode(JSON.stringify(config))], ['model.safetensors', safetensors(tensors)],
]));

const built: FloatModel[] = [];
const keep = (model: FloatModel): FloatModel => {
  built.push(model);
  return model;
};
afterEach(() => built.splice(0).forEach((model) => model.dispose()));

function allLogits(model: FloatModel, ids: readonly number[]): number[] {
  const { vocabSize } = model.parts;
  const logits: number[] = [];
  model.forwardAll(ids, (some, tokens) => {
    for (const value of some.subarray(0, tokens * vocabSize)) logits.push(value);
  });
  return logits;
}

/** All at once, one by one, and in pieces. */
function expectLogits(model: FloatModel, ids: readonly number[], expected: readonly (readonly number[])[], tolerance = TOLERANCE): void {
  expect(maxDifference(allLogits(model, ids), expected.flat())).toBeLessThan(tolerance);
  model.reset();
  ids.forEach((id, t) => expect(maxDifference(model.forward([id]), expected[t]!), `token ${t}`).toBeLessThan(tolerance));
  model.reset();
  model.forward(ids.slice(0, 5));
  expect(maxDifference(model.forward(ids.slice(5)), expected.at(-1)!)).toBeLessThan(tolerance);
  expect(model.position).toBe(ids.length);
}

/** Made when first asked for, and kept. */
function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => (made ??= { value: make() }).value;
}

const random = randomFrom(seed);
const ids = Array.from({ length: 90 }, () => random.integer(0, 63)); // more than a chunk
/** Random weights, and the logits that the references make of them. */
const plain = once(() => {
  const tensors = randomLlama(LLAMA, seed);
  return { tensors, logits: runLlamaReference(tensors, LLAMA, ids) };
});
const free = once(() => {
  const tensors = randomTensors(MATMUL_FREE, seed);
  return { tensors, logits: runReference(tensors, configJson(MATMUL_FREE), ids, 'as they are').logits };
});
/** The trained Llama's prompt, and its logits by Hugging Face transformers. */
const golden = once(() => {
  const { input_ids, logits_exact } = readTensors(shared('goldens/llama-9m/prompt0.safetensors'));
  const prompt = Array.from(input_ids!.values);
  return { prompt, rows: prompt.map((_, t) => Array.from(logits_exact!.values.slice(t * 4096, (t + 1) * 4096))) };
});

describe.each(FLOAT_BACKENDS)(`the float baselines, $name, seed ${seed}`, (options) => {
  it.each([{}, { maxMemoryBytes: SMALL_MEMORY.llama }])('compute what a plain Llama does, %o', async (limits) => {
    const { tensors, logits } = plain();
    const { config, weights } = await openLlama(inMemory(llamaConfigJson(LLAMA), tensors));
    const model = keep(await buildTransformer(config, weights, ids.length, { ...options, ...limits }));
    expect(model.parts.stages).toHaveLength('maxMemoryBytes' in limits ? 3 : 1);
    expect(model.parts.weightBytes).toBe(4 * Object.values(tensors).reduce((sum, { values }) => sum + values.length, 0));
    expect(model.parts.memory).toEqual({ fixed: 0, perToken: 3 * 2 * 48 * 4 });
    expectLogits(model, ids, logits);
    expect(() => model.forward([1])).toThrow('tiny has room for 90 tokens');
  });

  it.each([{}, { maxMemoryBytes: SMALL_MEMORY.matmulFree }])('compute what a MatMul-free LM does whose activations are not rounded, %o', async (limits) => {
    const { tensors, logits } = free();
    const model = keep(await buildFloatMatMulFree(await openCheckpoint(inMemory(configJson(MATMUL_FREE), tensors)), { ...options, ...limits }));
    expect(model.parts.stages).toHaveLength('maxMemoryBytes' in limits ? 3 : 1);
    expectLogits(model, ids, logits);
    expect(model.parts.memory).toEqual({ fixed: 3 * 32 * 4, perToken: 0 });
  });

  it('can be made with random weights, and pretend to have read a long text', async () => {
    const config = {
      name: 'random', hiddenSize: 32, intermediateSize: 48, layers: 2, heads: 2, headSize: 16, vocabSize: 64, rmsNormEps: 1e-6, ropeTheta: 10_000,
    };
    const model = keep(await buildTransformer(config, randomWeights(seed), 1000, options));
    const alone = model.forward([3]).slice();
    model.pretend(900);
    const logits = model.forward([3]);
    expect(model.position).toBe(901);
    expect(logits.every(Number.isFinite)).toBe(true);
    expect(maxDifference(logits, alone)).toBeGreaterThan(1e-3); // it has looked at what is there
  });
});

describe.each(effort(FLOAT_BACKENDS.slice(-1), FLOAT_BACKENDS))('the float baselines, $name', (options) => {
  it.skipIf(!HAS_SHARED)(`compute what Hugging Face transformers does with the trained Llama${SHARED_NOTE}`, async () => {
    const checkpoint = await openLlama(await filesFromDisk(shared('models/llama-9m')));
    const model = keep(await buildTransformer(checkpoint.config, checkpoint.weights, 2048, options));
    await checkpoint.close();
    expectLogits(model, golden().prompt, golden().rows);

    const { greedy } = JSON.parse(readFileSync(shared('goldens/llama-9m/golden.json'), 'utf8')) as { greedy: { prompt_ids: number[]; ids: number[] }[] };
    for (const text of greedy.slice(0, 1)) {
      model.reset();
      const written: number[] = [];
      for (let next = argmax(model.forward(text.prompt_ids)); written.length < text.ids.length; next = argmax(model.forward([next]))) written.push(next);
      expect(written).toEqual(text.ids);
    }
  });
});

describe('perplexity over validation stories', () => {
  /** Of JavaScript alone it would take a minute; more threads than one wait for each other on a busy machine. */
  const options = FLOAT_BACKENDS.filter(({ threads, backend }) => threads === 1 && backend !== 'js').at(-1)!;
  const stories = JSON.parse(readFileSync(fixture('tinystories-9m/validation-stories.json'), 'utf8')) as number[][];

  function nllOf(model: FloatModel, some: readonly (readonly number[])[]): number {
    return judgeStories(some, eachLogitsOf(model), new Set()).all.nll;
  }

  if (FULL) it.skipIf(!HAS_SHARED)(`of the Llama is that of the golden${SHARED_NOTE}`, async () => {
    const checkpoint = await openLlama(await filesFromDisk(shared('models/llama-9m')));
    const model = keep(await buildTransformer(checkpoint.config, checkpoint.weights, 2048, options));
    await checkpoint.close();
    const { validation } = JSON.parse(readFileSync(shared('goldens/llama-9m/golden.json'), 'utf8')) as { validation: { nll: number } };
    expect(Math.abs(nllOf(model, stories) / validation.nll - 1)).toBeLessThan(1e-6);
  });

  it('of the embedded model with float products is within half a percent of the ternary one\'s', async () => {
    const checkpoint = await openCheckpoint(await filesFromDisk(EMBEDDED));
    const model = keep(await buildFloatMatMulFree(checkpoint, options));
    await checkpoint.close();
    const ternary = await MatMulFreeLM.load(EMBEDDED, { threads: 1 });
    const some = stories.slice(0, 6);
    const nll = some.reduce((sum, story) => sum + ternary.score(story).nll, 0);
    const tokens = some.reduce((sum, story) => sum + story.length - 1, 0);
    expect(Math.abs(nllOf(model, some) - nll) / tokens).toBeLessThan(5e-3);
  });
});

describe('openLlama', () => {
  it.each([
    ['another architecture', { model_type: 'gpt2' }, 'model_type is "gpt2"'],
    ['grouped queries', { num_key_value_heads: 1 }, 'num_key_value_heads is 1'],
    ['scaled positions', { rope_scaling: { factor: 2 } }, 'rope_scaling is'],
    ['tied embeddings', { tie_word_embeddings: true }, 'tie_word_embeddings is true'],
    ['no size', { hidden_size: 'large' }, 'hidden_size is not a positive number'],
  ])('refuses %s', async (_, change, message) => {
    await expect(openLlama(inMemory({ ...llamaConfigJson(LLAMA), ...change }, randomLlama(LLAMA, 1)))).rejects.toThrow(message);
  });

  it('refuses weights of other shapes', async () => {
    const { config, weights } = await openLlama(inMemory({ ...llamaConfigJson(LLAMA), vocab_size: 80 }, randomLlama(LLAMA, 1)));
    await expect(buildTransformer(config, weights, 10, { backend: 'js', threads: 1 })).rejects.toThrow('tensor "model.embed_tokens.weight" [80,32] is missing');
  });
});
