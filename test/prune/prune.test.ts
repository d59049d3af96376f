import { describe, expect, it } from 'vitest';
import {
  ArgumentError, Block, checkConversion, ConfigError, createKernels, inspect, loadModel, MatMulFreeLM, Model, prune, pruneToSafetensors, type Kernels,
  type ModelSource, type PrunePlan,
} from 'matmulfree';
import { json, safetensors, type Files } from '../support/checkpoints.js';
import { expectSameBits } from '../support/compare.js';
import { decoderConfig, decoderTensors, TINY_BITNET, TINY_LLAMA } from '../support/families.js';
import { openFiles } from '../support/open-gguf.js';
import { freshSeed, randomFrom } from '../support/random.js';
import { EXAMPLES, folder, type Example } from './models.js';

const seed = freshSeed();
const random = randomFrom(seed);
const IDS = Array.from({ length: 75 }, () => random.integer(0, 10)); // more than a pass

const load = (source: ModelSource): Promise<MatMulFreeLM> => MatMulFreeLM.load(source, { threads: 1 });

async function gguf(source: ModelSource, plan: PrunePlan): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const part of prune(source, plan, { name: 'm' })) parts.push(part);
  return new Uint8Array(Buffer.concat(parts));
}

async function packed(source: ModelSource, plan: PrunePlan): Promise<Files> {
  const files: Record<string, Uint8Array[]> = {};
  for await (const { file, bytes } of pruneToSafetensors(source, plan)) (files[file] ??= []).push(bytes);
  return Object.fromEntries(Object.entries(files).map(([name, parts]) => [name, new Uint8Array(Buffer.concat(parts))]));
}

async function logitsOf(source: ModelSource): Promise<Float32Array> {
  const lm = await load(source);
  const logits = lm.forward(IDS, lm.createState(), { all: true });
  lm.dispose();
  return logits;
}

interface Gone { readonly tokenMixers: readonly number[]; readonly channelMixers: readonly number[] }

const some = (): number[] => [0, 1, 2].filter(() => random.unit() < 0.5);
/** Some of the mixers, all of a kind, the first layer, all. */
const PLANS: readonly Gone[] = [
  { tokenMixers: [0], channelMixers: [] }, { tokenMixers: [], channelMixers: [0] }, { tokenMixers: [0, 1, 2], channelMixers: [1] },
  { tokenMixers: [2, 0, 1], channelMixers: [0, 2, 1] }, { tokenMixers: [1, ...some()], channelMixers: some() },
];

/** The model built by hand without these mixers: its own layers, in blocks that have fewer. */
async function byHand(files: Files, { tokenMixers, channelMixers }: Gone): Promise<Float32Array> {
  const lm = await load(files);
  const { parts } = lm.model;
  const blocks = parts.blocks.map(({ parts: { tokenNorm, tokenMixer, channelNorm, channelMixer } }, n) => new Block(parts.kernels, parts.workspace, {
    ...(tokenMixers.includes(n) ? {} : { tokenNorm, tokenMixer }), ...(channelMixers.includes(n) ? {} : { channelNorm, channelMixer }),
  }));
  const model = new Model({ ...parts, blocks });
  const logits = new Float32Array(IDS.length * parts.config.vocabSize);
  model.forwardAll(IDS, model.createState(), (row, position) => logits.set(row, position * row.length));
  lm.dispose();
  return logits;
}

describe(`a model without some of its mixers (seed ${seed})`, () => {
  it.each(EXAMPLES)('is, bit for bit, what is built by hand without them: $name', async ({ files }) => {
    const whole = await logitsOf(files);
    for (const plan of PLANS) {
      const expected = await byHand(files, plan);
      expect(expected).not.toEqual(whole);
      const forms = [await gguf(files, plan), await packed(files, plan)];
      for (const form of forms) expectSameBits(await logitsOf(form), expected);
      await checkConversion(forms[0]!, forms[1]!); // fingerprints too
    }
  });

  it.each(EXAMPLES)('loses more of them, from either form, as if they were lost at once: $name', async ({ files }) => {
    const [first, second, both] = [{ tokenMixers: [1] }, { channelMixers: [0], tokenMixers: [2] }, { tokenMixers: [2, 1], channelMixers: [0] }];
    const once = await gguf(files, both);
    for (const form of [await gguf(files, first), await packed(files, first)]) expect(Buffer.compare(await gguf(form, second), once)).toBe(0);
    expect(Buffer.compare(await gguf(files, { blocks: [2] }), await gguf(files, { tokenMixers: [2], channelMixers: [2] }))).toBe(0);
    expect(Buffer.compare(await gguf(await gguf(files, { channelMixers: [2] }), { blocks: [2] }), await gguf(files, { blocks: [2] }))).toBe(0);
  });

  it.each(EXAMPLES)('keeps nothing in place of them, neither in the file nor in memory: $name', async ({ files, name }) => {
    const [whole, pruned] = [await load(files), await load(await gguf(files, { tokenMixers: [0, 1], channelMixers: [0] }))];
    const [all, left] = [whole.info(), pruned.info()];
    const [before, after] = [whole.createState(), pruned.createState()];
    for (const [lm, state] of [[whole, before], [pruned, after]] as const) lm.forward(IDS, state);
    // Of three token mixers one is left; in the hybrid the recurrent one and an attention are gone.
    const isHybrid = name === 'a hybrid';
    expect(left.stateBytes).toBe(isHybrid ? 0 : all.stateBytes / 3);
    expect(left.stateBytesPerToken / (all.stateBytesPerToken || 1)).toBeCloseTo(isHybrid ? 4 / (16 + 4) : all.stateBytesPerToken ? 1 / 3 : 0);
    if (!isHybrid) expect(after.byteLength).toBe(before.byteLength / 3);
    expect(left.memoryBytes).toBeLessThan(all.memoryBytes);
    expect(left.parameters).toBeLessThan(all.parameters);
    expect(left.operations.ternaryAdditions).toBeLessThan(all.operations.ternaryAdditions);
    expect(left.operations.multiplications).toBeLessThan(all.operations.multiplications);
    expect(left.switches).toContainEqual({ name: 'left out', value: 'token mixers of layers 0, 1; channel mixer of layer 0', why: 'drop_attn_list, drop_mlp_list' });
    const { tensors, metadata } = await inspect(await gguf(files, { blocks: [0] }));
    expect(tensors.map((tensor) => tensor.name).filter((tensor) => tensor.startsWith('blk.0.'))).toEqual([]);
    const [key] = [...metadata.keys()].filter((one) => one.endsWith('.drop_attn_list'));
    expect(key).toBe(`${left.family}.drop_attn_list`);
    whole.dispose();
    pruned.dispose();
  });

  it('spends no time on them: each mixer that is left adds to the residual, and nothing else does', async () => {
    const { files } = EXAMPLES[2]!;
    for (const [plan, mixers] of [[{ tokenMixers: [0, 1], channelMixers: [0] }, 3], [{ blocks: [0, 1, 2] }, 0]] as const) {
      const calls: Record<string, number> = {};
      const kernels = new Proxy(await createKernels({ backend: 'scalar', transformer: true }), {
        get(target, name: keyof Kernels) {
          calls[name] = (calls[name] ?? 0) + 1;
          return target[name];
        },
      });
      const model = await loadModel(await openFiles({ 'm.gguf': await gguf(files, plan) }), kernels);
      const state = model.createState();
      for (const name of Object.keys(calls)) delete calls[name];
      model.forwardLast([1], state, new Float32Array(model.parts.config.vocabSize));
      expect(calls['add'] ?? 0).toBe(mixers);
      if (mixers > 0) continue;
      expect(calls).toEqual({ rmsNorm: 1, rmsNormQuantize: 1, ternaryMatmul: 1 }); // the last norm, and the head
      expect([state.byteLength, model.parts.blueprint.maxPositions]).toEqual([0, Infinity]);
    }
  });

  it.each(EXAMPLES)('does what every model does: sessions, states, guesses, batches: $name', async ({ files }) => {
    const whole = await load(files);
    for (const plan of PLANS) {
      const lm = await load(await gguf(files, plan));
      expect(lm.info().fingerprint).not.toBe(whole.info().fingerprint);
      const state = lm.createState();
      const expected = lm.forward(IDS, state).slice();
      const copy = lm.createState();
      lm.forward(IDS.slice(0, 30), copy);
      const restored = lm.restoreState(copy.serialize());
      for (const other of [copy.clone(), restored]) {
        for (const id of IDS.slice(30, -1)) lm.forward(id, other);
        expectSameBits(lm.forward(IDS.at(-1)!, other), expected);
      }
      expect(() => whole.restoreState(copy.serialize())).toThrow(ArgumentError);
      const write = async (prompt: number[], speculate: boolean): Promise<number[]> => {
        const ids: number[] = [];
        for await (const id of lm.generateIds(prompt, { maxNewTokens: 24, temperature: 0, speculate, eosTokenIds: [] })) ids.push(id);
        return ids;
      };
      const alone = [await write(IDS, false), await write([3, 4], false)];
      expect([await write(IDS, true), await write([3, 4], true)]).toEqual(alone);
      const batch = await lm.generateBatch([IDS, [3, 4]], { maxNewTokens: 24, temperature: 0, eosTokenIds: [] });
      expect(batch.map(({ ids }) => [...ids])).toEqual(alone);
      lm.dispose();
    }
    whole.dispose();
  });
});

describe('checkpoints published with lists of what is left out', () => {
  /** Tensors of these layers' parts, as they are called. */
  const isOf = (part: 'attn' | 'mlp', layers: readonly number[]) => (name: string): boolean => {
    const [, layer, rest = ''] = /^model\.layers\.(\d+)\.(.*)/.exec(name) ?? [];
    return layers.includes(Number(layer ?? -1)) && (part === 'mlp' ? /^(mlp|post_attention|mlp_norm)/ : /^(self_attn|attn|input_layernorm)/).test(rest);
  };
  const without = ({ tensors }: Example, isGone: (name: string) => boolean): Example['tensors'] =>
    Object.fromEntries(Object.entries(tensors).filter(([name]) => !isGone(name)));

  it.each(EXAMPLES.filter(({ name }) => name !== 'a Qwen3'))('load in all of their spellings, with the tensors there or not: $name', async (example) => {
    const { config, tensors, files } = example;
    for (const [attn, mlp, gone] of [
      [[2, 0], [1], { tokenMixers: [0, 2], channelMixers: [1] }], [[true, false, true], [false, true, false], { tokenMixers: [0, 2], channelMixers: [1] }],
      [null, [0, 1, 2], { tokenMixers: [], channelMixers: [0, 1, 2] }], [[0, 1, 2], [], { tokenMixers: [0, 1, 2], channelMixers: [] }],
    ] as const) {
      const expected = await byHand(files, gone);
      const lists = { ...config, drop_attn_list: attn, drop_mlp_list: mlp };
      const isGone = (name: string): boolean => isOf('attn', gone.tokenMixers)(name) || isOf('mlp', gone.channelMixers)(name);
      for (const kept of [tensors, without(example, isGone)]) expectSameBits(await logitsOf(folder(lists, kept)), expected);
    }
    for (const nothing of [null, [], [false, false, false]]) expectSameBits(await logitsOf(folder({ ...config, drop_attn_list: nothing }, tensors)), await logitsOf(files));
    // What is missing of a layer that is not left out is missed.
    await expect(load(folder({ ...config, drop_attn_list: [1] }, without(example, isOf('attn', [1, 2]))))).rejects.toThrow(ConfigError);
    await expect(load(folder({ ...config, drop_attn_list: [1, 3] }, tensors))).rejects.toThrow(/drop_attn_list is \[1, 3\], not a list of layers from 0 to 2, or of 3 booleans/);
  });

  it('whole blocks left out are the smaller model that has the others, renumbered', async () => {
    for (const family of [TINY_BITNET, TINY_LLAMA]) {
      const shape = { ...family, layers: 4 };
      const tensors = decoderTensors(shape, 5);
      const renumbered: typeof tensors = {};
      for (const [name, tensor] of Object.entries(tensors)) {
        const [, layer] = /layers\.(\d+)/.exec(name) ?? [];
        if (layer === '0' || layer === '2') continue;
        renumbered[name.replace(/layers\.\d+/, `layers.${layer === '1' ? 0 : 1}`)] = tensor;
      }
      const smaller = { 'config.json': json(decoderConfig({ ...shape, layers: 2 })), 'model.safetensors': safetensors(renumbered) };
      const whole = { 'config.json': json(decoderConfig(shape)), 'model.safetensors': safetensors(tensors) };
      expectSameBits(await logitsOf(await gguf(whole, { blocks: [2, 0] })), await logitsOf(smaller));
    }
  });
});

describe('prune refuses', () => {
  const { files } = EXAMPLES[1]!;
  it.each<[PrunePlan, RegExp]>([
    [{}, /the plan leaves nothing out; name layers in tokenMixers, channelMixers or blocks/],
    [{ tokenMixers: [], blocks: [] }, /leaves nothing out/],
    [{ tokenMixers: [3] }, /the plan has token mixer 3; there are layers from 0 to 2/],
    [{ channelMixers: [-1] }, /channel mixer -1; there are layers/],
    [{ blocks: [0, 7] }, /block 7; there are layers/],
    [{ tokenMixers: [0.5] }, /the plan's tokenMixers are \[0\.5\], not a list of layers/],
    [{ blocks: 1 as never }, /the plan's blocks are 1, not a list of layers/],
    [{ layers: [1] } as never, /the plan: unknown option "layers"/],
    [null as never, /the plan/],
  ])('the plan %j', async (plan, message) => {
    await expect(gguf(files, plan)).rejects.toThrow(ArgumentError);
    await expect(gguf(files, plan)).rejects.toThrow(message);
    await expect(packed(files, plan)).rejects.toThrow(message);
  });
  it('what is left out already', async () => {
    const pruned = await gguf(files, { blocks: [1], tokenMixers: [2] });
    await expect(gguf(pruned, { tokenMixers: [2] })).rejects.toThrow(/token mixer 2; that one is left out already/);
    await expect(gguf(pruned, { blocks: [1] })).rejects.toThrow(/block 1; that one is left out already/);
    await expect(gguf(pruned, { channelMixers: [1] })).rejects.toThrow(/left out already/);
  });
  it('a mixer without its norm, in a block made by hand', async () => {
    const lm = await load(files);
    const { parts } = lm.model;
    const { tokenMixer, channelNorm } = parts.blocks[0]!.parts;
    for (const half of [{ tokenMixer }, { channelNorm }]) expect(() => new Block(parts.kernels, parts.workspace, half)).toThrow(/a mixer comes with its norm/);
    lm.dispose();
  });
});
