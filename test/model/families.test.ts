import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { argmax, MatMulFreeLM } from 'matmulfree';
import { FASTEST, SOME_BACKENDS } from '../support/backends.js';
import { assemble, configJson, json, safetensors } from '../support/checkpoints.js';
import { comparePosition, expectSameBits, maxDifference } from '../support/compare.js';
import { FULL, tries } from '../support/effort.js';
import { decoderConfig, decoderTensors, hybridTensors, TINY_BITNET } from '../support/families.js';
import { decode, fixture, HAS_SHARED, readTensors, shared, SHARED_NOTE } from '../support/files.js';
import { encode } from '../support/gguf-files.js';
import { freshSeed, randomFrom } from '../support/random.js';
import { randomDecoder, randomHybrid } from '../support/random-shapes.js';
import { runDecoderReference } from '../support/reference-decoder.js';
import { runReference } from '../support/reference-model.js';
import type { Tensors } from '../support/reference-parts.js';

/* Families other than MatMul-free LMs: BitNet, ternary Llama, hybrids. goldens.test.ts and trained.test.ts are of the first. */

type Json = Record<string, unknown>;
const firstSeed = freshSeed();

/** The mean over all positions, as design.md §2 asks. */
function compareTexts(actual: Float32Array, exact: ArrayLike<number>, vocab: number): { kl: number; sameTop: number; difference: number } {
  const tokens = actual.length / vocab;
  const rows = Float64Array.from(exact);
  let kl = 0;
  let sameTop = 0;
  for (let t = 0; t < tokens; t++) {
    const position = comparePosition(actual.subarray(t * vocab, (t + 1) * vocab), rows.subarray(t * vocab, (t + 1) * vocab));
    kl += position.kl / tokens;
    sameTop += Number(position.sameTop) / tokens;
  }
  return { kl, sameTop, difference: maxDifference(actual, exact) / deviation(exact) };
}

function deviation(values: ArrayLike<number>): number {
  const all = Array.from(values);
  const mean = all.reduce((sum, v) => sum + v, 0) / all.length;
  return Math.sqrt(all.reduce((sum, v) => sum + (v - mean) ** 2, 0) / all.length);
}

function reference(tensors: Tensors, config: Json, ids: readonly number[]): number[] {
  return (config['model_type'] === 'hgrn_bit' ? runReference(tensors, config, ids).logits : runDecoderReference(tensors, config, ids)).flat();
}

interface TinyGolden {
  readonly name: string;
  /** An int8 rounding that falls the other way in float32. */
  readonly flips?: boolean;
}

const COMMITTED: readonly TinyGolden[] = [
  { name: 'bitnet-packed' }, { name: 'llama-bitnet-divide' }, { name: 'llama-bitnet-llama3rope', flips: true }, { name: 'hybrid-full', flips: true },
];
const SHARED: readonly TinyGolden[] = [{ name: 'bitnet-masters' }, { name: 'hybrid-window' }, { name: 'hybrid-all-attention' }];

describe.each(SOME_BACKENDS)('tiny models against float64 and Hugging Face transformers, $name', ({ backend, threads }) => {
  async function compareWithGolden(folder: string, flips = false): Promise<void> {
    const lm = await MatMulFreeLM.load(folder, { backend, threads, kvType: 'f32' });
    const golden = readTensors(`${folder}/golden.safetensors`);
    const ids = golden['input_ids']!.values;
    const { vocabSize: vocab, layers } = lm.config;
    const state = lm.createState();
    const all = lm.forward(ids, state, { all: true });
    const { kl, difference } = compareTexts(all, golden['logits_exact']!.values, vocab);
    expect(kl).toBeLessThan(1e-4);
    if (!flips) expect(difference).toBeLessThan(1e-4);
    // Of an independent implementation in float32, which may have flips of its own.
    if (golden['logits']) expect(compareTexts(all, golden['logits'].values, vocab).kl).toBeLessThan(2e-4);
    if (!flips) {
      for (let n = 0; n < layers; n++) {
        const stateExact = golden[`state_exact.${n}`];
        if (stateExact) expect(maxDifference(state.layers[n]!, stateExact.values)).toBeLessThan(1e-5);
      }
    }
    const single = lm.createState();
    const singly = Math.min(ids.length, 90);
    for (let t = 0; t < singly; t++) expectSameBits(lm.forward(ids[t]!, single), all.slice(t * vocab, (t + 1) * vocab));
    if (ids.length > singly) expectSameBits(lm.forward(ids.slice(singly), single), all.slice(-vocab));
    const saved = single.serialize();
    expect(saved).toEqual(state.serialize());
    if (!flips && golden['attn_k_exact.1']) compareSavedKeys(saved, layers, golden, ids.length);
    lm.dispose();
  }

  /** Of each layer of attention a state has keys (after RoPE) and values of the tokens that a later one can see: page by page, head by head. */
  function compareSavedKeys(saved: Uint8Array, layers: number, golden: Tensors, tokens: number): void {
    let at = 32 + 4; // the header; bytes of an element
    for (let n = 0; n < layers; n++) at += 4 * (golden[`state_exact.${n}`]?.values.length ?? 0);
    const view = new DataView(saved.buffer, saved.byteOffset);
    for (let n = 0; n < layers; n++) {
      if (!golden[`attn_k_exact.${n}`]) continue;
      const [visible = 0, kvHeads = 0, headDim = 0] = golden[`attn_k_exact.${n}`]!.shape;
      for (let start = tokens - visible; start < tokens; ) {
        const end = Math.min(tokens, 64 * Math.floor(start / 64) + 64);
        for (const which of ['k', 'v']) {
          for (let head = 0; head < kvHeads; head++) {
            for (let t = start; t < end; t++) {
              const from = ((t - (tokens - visible)) * kvHeads + head) * headDim;
              const exact = golden[`attn_${which}_exact.${n}`]!.values.slice(from, from + headDim);
              expect(maxDifference(Array.from(exact, (_, j) => view.getFloat32(at + 4 * j, true)), exact)).toBeLessThan(1e-4);
              at += 4 * headDim;
            }
          }
        }
        start = end;
      }
    }
    expect(at).toBe(saved.length);
  }

  it.each(COMMITTED)('$name; one by one as all at once', ({ name, flips }) => compareWithGolden(fixture(`models/${name}`), flips));
  it.skipIf(!HAS_SHARED).each(SHARED)(`$name${SHARED_NOTE}`, ({ name, flips }) => compareWithGolden(shared(`models/tiny/${name}`), flips));
});

describe('the references in these tests', () => {
  it.each(COMMITTED)('reproduce the float64 golden of $name', ({ name }) => {
    const folder = fixture(`models/${name}`);
    const golden = readTensors(`${folder}/golden.safetensors`);
    const ids = Array.from(golden['input_ids']!.values).slice(0, 70);
    const config = JSON.parse(readFileSync(`${folder}/config.json`, 'utf8')) as Json;
    const exact = golden['logits_exact']!.values;
    const logits = reference(readTensors(`${folder}/model.safetensors`), config, ids);
    expect(maxDifference(logits, exact.slice(0, logits.length)) / deviation(exact)).toBeLessThan(1e-6);
  });
});

describe('random models against the references', () => {
  /** More than a page of keys and values. */
  const TOKENS = 80;

  /** @returns whether no rounding fell the other way. */
  async function compareRandom(tensors: Tensors, config: Json, seed: number): Promise<boolean> {
    const files = { 'config.json': json(config), 'model.safetensors': safetensors(tensors) };
    const random = randomFrom(seed);
    const vocab = Number(config['vocab_size']);
    const ids = Array.from({ length: TOKENS }, () => random.integer(0, vocab - 1));
    const exact = reference(tensors, config, ids);
    const lm = await MatMulFreeLM.load(files, { threads: 1, kvType: 'f32' });
    const all = lm.forward(ids, lm.createState(), { all: true });
    // Logits of random weights may be spread widely, which makes much of one rounding: as if the spread were at most 1.
    const spread = Math.max(1, deviation(exact));
    expect(compareTexts(all.map((v) => v / spread), exact.map((v) => v / spread), vocab).kl, `seed ${seed}`).toBeLessThan(1e-3);
    const state = lm.createState();
    ids.forEach((id, t) => expectSameBits(lm.forward(id, state), all.slice(t * vocab, (t + 1) * vocab)));
    lm.dispose();
    const scalar = await MatMulFreeLM.load(files, { backend: 'scalar', kvType: 'f32' });
    expectSameBits(scalar.forward(ids, scalar.createState(), { all: true }), all);
    return compareTexts(all, exact, vocab).difference < 1e-4;
  }

  const seeds = Array.from({ length: tries(2, 20) }, (_, n) => firstSeed + n);
  const SHAPES: readonly { readonly name: string; readonly make: (seed: number) => { tensors: Tensors; config: Json } }[] = [
    { name: 'Transformers', make: (seed) => {
      const { shape, extra } = randomDecoder(randomFrom(seed));
      return { tensors: decoderTensors(shape, seed), config: decoderConfig(shape, extra) };
    } },
    { name: 'hybrids', make: (seed) => {
      const { shape, attn } = randomHybrid(randomFrom(seed));
      return { tensors: hybridTensors(shape, attn, seed), config: configJson(shape, { attn }) };
    } },
  ];

  it.each(SHAPES)(`$name of any shape (seeds from ${firstSeed}): near in all, equal in most of many; one by one as all at once, and as the scalar backend`, async ({ make }) => {
    let equal = 0;
    for (const seed of seeds) {
      const { tensors, config } = make(seed);
      equal += Number(await compareRandom(tensors, config, seed));
    }
    if (seeds.length >= 20) expect(equal / seeds.length).toBeGreaterThan(0.5); // it is three in four
  }, 300_000);
});

it.each(['BF16', 'F16', 'F32'] as const)(`weights in %s that are quantised when they are loaded have a scale of that type (seed ${firstSeed})`, async (dtype) => {
  const shape = { ...TINY_BITNET, vocab: 40 };
  const stored: Tensors = {};
  const parts: Uint8Array[] = [];
  const header: Record<string, unknown> = {};
  let end = 0;
  for (const [name, { shape: dimensions, values }] of Object.entries(decoderTensors(shape, firstSeed))) {
    const bytes = encode(dtype, values);
    header[name] = { dtype, shape: dimensions, data_offsets: [end, (end += bytes.length)] };
    parts.push(bytes);
    stored[name] = { dtype, shape: dimensions, values: decode(dtype, bytes) };
  }
  const config = decoderConfig(shape);
  const lm = await MatMulFreeLM.load({ 'config.json': json(config), 'model.safetensors': assemble(JSON.stringify(header), new Uint8Array(Buffer.concat(parts))) }, { threads: 1, kvType: 'f32' });
  // A rounding may flip in one of them; a scale that is not rounded is off by up to 2⁻⁹ in all.
  const differences = [1, 17, 38].map((id) => {
    const exact = reference(stored, config, [id]);
    return maxDifference(lm.forward(id, lm.createState()), exact) / deviation(exact);
  });
  expect(Math.min(...differences)).toBeLessThan(1e-4);
  lm.dispose();
});

/** Two logits that are as near may change places by one int8 rounding (design.md §2). */
const SAFE_GAP = 0.2;

describe.skipIf(!HAS_SHARED).each([{ name: 'bitnet-8m', texts: ['prompt0'] }, { name: 'hybrid-9m', texts: ['prompt0', 'long'] }])(`the trained $name${SHARED_NOTE}`, ({ name, texts }) => {
  interface Greedy {
    readonly prompt: string;
    readonly prompt_ids: number[];
    readonly exact?: number[];
    readonly exact_gaps?: number[];
    readonly ids?: number[];
  }

  let lm: MatMulFreeLM;
  beforeAll(async () => {
    const { backend, threads } = FASTEST;
    lm = await MatMulFreeLM.load(shared(`models/${name}`), { backend, threads, kvType: 'f32' });
  });
  afterAll(() => lm.dispose());

  it('predicts as the golden does; with keys and values in float16 nearly so', async () => {
    const half = await MatMulFreeLM.load(shared(`models/${name}`), { backend: FASTEST.backend, threads: 1 });
    const vocab = lm.config.vocabSize;
    for (const text of texts) {
      const golden = readTensors(shared(`goldens/${name}/${text}.safetensors`));
      const ids = golden['input_ids']!.values;
      const all = lm.forward(ids, lm.createState(), { all: true });
      const { kl, sameTop } = compareTexts(all, (golden['logits_exact'] ?? golden['logits'])!.values, vocab);
      expect(kl).toBeLessThan(1e-3);
      expect(sameTop).toBeGreaterThanOrEqual(0.94);
      const halved = compareTexts(half.forward(ids, half.createState(), { all: true }), all, vocab);
      expect(halved.kl).toBeGreaterThan(0);
      expect(halved.kl).toBeLessThan(1e-3);
    }
    half.dispose();
  }, 60_000);

  it('writes the same greedy text up to the first close call, and goes on with it', () => {
    const { greedy } = JSON.parse(readFileSync(shared(`goldens/${name}/golden.json`), 'utf8')) as { greedy: Greedy[] };
    for (const { prompt, prompt_ids, exact, exact_gaps, ids = exact! } of greedy) {
      expect(lm.tokenizer.encode(prompt)).toEqual(prompt_ids);
      const state = lm.createState();
      let logits = lm.forward(prompt_ids, state);
      let wasClose = false;
      for (const [n, id] of ids.entries()) {
        const gap = exact_gaps?.[n] ?? gapOf(logits);
        wasClose ||= gap < SAFE_GAP;
        // After a close call the golden's text is read on, of which much is certain.
        if (!wasClose || gap > 2 * SAFE_GAP) expect(argmax(logits), `token ${n} after ${prompt}`).toBe(id);
        logits = lm.forward(id, state);
      }
    }
  });

  /** Between the two best. */
  function gapOf(logits: Float32Array): number {
    const [best = 0, second = 0] = logits.slice().sort().slice(-2).reverse();
    return best - second;
  }

  if (FULL) {
    it('has the golden\'s perplexity over the validation stories, within 0.1 %', () => {
      const { validation } = JSON.parse(readFileSync(shared(`goldens/${name}/golden.json`), 'utf8')) as { validation: Record<string, number> };
      const stories = JSON.parse(readFileSync(fixture('tinystories-9m/validation-stories.json'), 'utf8')) as number[][];
      const tokens = stories.reduce((sum, ids) => sum + ids.length - 1, 0);
      expect(tokens).toBe(validation['predicted_tokens']);
      const nll = stories.reduce((sum, ids) => sum + lm.score(ids).nll, 0);
      expect(Math.abs(Math.exp(nll / tokens) / (validation['ppl_exact'] ?? validation['ppl'])! - 1)).toBeLessThan(1e-3);
    }, 300_000);
  }
});
