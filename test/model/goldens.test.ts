import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { MatMulFreeLM } from 'matmulfree';
import { SOME_BACKENDS, type Backend } from '../support/backends.js';
import { configJson, json, randomTensors, safetensors, type TinyConfig } from '../support/checkpoints.js';
import { comparePosition, expectSameBits, maxDifference } from '../support/compare.js';
import { fixture, HAS_SHARED, readTensors, shared, SHARED_NOTE } from '../support/files.js';
import { freshSeed, randomFrom } from '../support/random.js';
import { runReference } from '../support/reference-model.js';

/** Runs a model layer by layer, so that the hidden states can be seen: [layers + 1][hidden] after one more token. */
function hiddenStates(lm: MatMulFreeLM, ids: ArrayLike<number>): Float32Array[][] {
  const { embeddings, blocks, workspace: { residual } } = lm.model.parts;
  const liveState = lm.model.parts.liveState.map((layer) => layer.subarray(0, lm.config.recurrentSize));
  liveState.forEach((layer) => layer.fill(0));
  return Array.from(ids, (id) => {
    embeddings.lookUp(id, residual, 0);
    const seen = [residual.slice(0, lm.config.hiddenSize)];
    blocks.forEach((block, n) => {
      block.forward(residual, 1, liveState[n]!);
      seen.push(residual.slice(0, lm.config.hiddenSize));
    });
    return seen;
  });
}

async function compareWithGolden(folder: string, { backend, threads }: Backend): Promise<void> {
  const lm = await MatMulFreeLM.load(folder, { backend, threads });
  const golden = readTensors(`${folder}/golden.safetensors`);
  const ids = golden['input_ids']!.values;
  const { vocabSize: vocab, hiddenSize, layers, recurrentSize } = lm.config;

  const state = lm.createState();
  const all = lm.forward(ids, state, { all: true });
  expect(maxDifference(all, golden['logits_exact']!.values)).toBeLessThan(1e-4);
  expect(maxDifference(all, golden['logits']!.values)).toBeLessThan(0.02); // the authors' float32 run has a flip of its own

  const stateExact = golden['state_exact']!.values;
  state.layers.forEach((layer, n) => {
    expect(maxDifference(layer, stateExact.slice(n * recurrentSize, (n + 1) * recurrentSize))).toBeLessThan(1e-5);
  });

  const hiddenExact = golden['hidden_exact']!.values;
  hiddenStates(lm, ids).forEach((seen, t) => {
    for (let l = 0; l <= layers; l++) {
      const start = (l * ids.length + t) * hiddenSize;
      expect(maxDifference(seen[l]!, hiddenExact.slice(start, start + hiddenSize))).toBeLessThan(1e-4);
    }
  });

  const single = lm.createState();
  for (let t = 0; t < ids.length; t++) {
    expectSameBits(lm.forward(ids[t]!, single), all.slice(t * vocab, (t + 1) * vocab));
  }
  expectSameBits(lm.forward(ids, lm.createState()), all.slice(-vocab));
  lm.dispose();
}

describe.each(SOME_BACKENDS)('tiny models against the authors\' code, $name', (backend) => {
  it.each(['bf16-sharded', 'no-lower-bound', 'f16-bin'])('%s: logits, hidden states, states; one by one as all at once', (name) =>
    compareWithGolden(fixture(`models/${name}`), backend),
  );

  it.skipIf(!HAS_SHARED)(`f32: the same${SHARED_NOTE}`, () => compareWithGolden(shared('models/tiny/f32'), backend));
});

describe('the reference in these tests', () => {
  it('reproduces the float64 goldens', () => {
    const folder = fixture('models/no-lower-bound');
    const golden = readTensors(`${folder}/golden.safetensors`);
    const config = JSON.parse(readFileSync(`${folder}/config.json`, 'utf8')) as Record<string, unknown>;
    const ids = Array.from(golden['input_ids']!.values).slice(0, 8);
    const result = runReference(readTensors(`${folder}/model.safetensors`), config, ids);
    expect(maxDifference(result.logits.flat(), golden['logits_exact']!.values.slice(0, 8 * 259))).toBeLessThan(1e-6);
  });
});

describe('random models against the reference', () => {
  const seed = freshSeed();
  const shapes: TinyConfig[] = [
    { hidden: 12, intermediate: 20, layers: 2, vocab: 11, lowerBounds: true },
    { hidden: 33, intermediate: 7, layers: 3, vocab: 50, lowerBounds: true },
    { hidden: 20, recurrent: 40, intermediate: 81, layers: 2, vocab: 5, lowerBounds: false },
    { hidden: 101, recurrent: 101, intermediate: 99, layers: 1, vocab: 3, lowerBounds: true },
    { hidden: 1, intermediate: 1, layers: 1, vocab: 2, lowerBounds: false },
  ];

  it.each(shapes)(`hidden $hidden, intermediate $intermediate, layers $layers (seed ${seed})`, async (shape) => {
    const tensors = randomTensors(shape, seed);
    const config = configJson(shape);
    const files = { 'config.json': json(config), 'model.safetensors': safetensors(tensors) };
    const lm = await MatMulFreeLM.load(files, { threads: 2 });
    const random = randomFrom(seed);
    const ids = Array.from({ length: 70 }, () => random.integer(0, shape.vocab - 1));
    const exact = runReference(tensors, config, ids);
    const all = lm.forward(ids, lm.createState(), { all: true });
    let kl = 0;
    for (let t = 0; t < ids.length; t++) kl += comparePosition(all.slice(t * shape.vocab, (t + 1) * shape.vocab), exact.logits[t]!).kl;
    // One rounding may flip; then the logits move a little, and the distributions hardly.
    expect(kl / ids.length).toBeLessThan(1e-4);

    const state = lm.createState();
    ids.forEach((id, t) => expectSameBits(lm.forward(id, state), all.slice(t * shape.vocab, (t + 1) * shape.vocab)));
    const scalar = await MatMulFreeLM.load(files, { backend: 'scalar' });
    expectSameBits(scalar.forward(ids, scalar.createState(), { all: true }), all);
    lm.dispose();
  });
});
