import { missingPart, show } from '../errors.js';
import type { JsonObject } from '../formats/bytes.js';
import { MAX_COLUMNS } from '../kernels/kernels.js';
import { TAPS } from '../kernels/delta-net.js';
import { deltaNetWidths, type GatedDeltaNetShape } from '../layers/gated-delta-net.js';
import type { GatedDeltaNetSpec, Switch, TensorSpec } from './blueprint.js';
import { KeyReader, MAX_LAYERS } from './config.js';
import { decoderKeys, DECODER_METADATA, describeDecoder, ggufContents, readDecoderSizes, readTied, refuseMlx, type DecoderNames, type DecoderSizes } from './decoder.js';
import { readLayers } from './dropped.js';
import type { Family, TensorNames } from './family.js';
import { child, oneOf } from './nested-keys.js';
import { readRope } from './rope.js';

/** Where the tensors of the text's part begin in a checkpoint that has a vision tower too. */
const INSIDE = 'model.language_model';
/** A key of ours: norms and decays are stored as they are computed with, not less one, and not as a logarithm. */
const AS_COMPUTED = 'weights_as_computed';
/** The same, in GGUF files: numbers of layers, where they are no interval apart. */
const ATTENTION_LAYERS = 'full_attention_layers';
const DEFAULT_INTERVAL = 4;

/**
 * Qwen3.5's text model, and Ternary Bonsai 2 (bonsai.md §1.3, §3.4): gated delta nets, with attention in every fourth layer, weights in groups, which may be
 * stored in a rotated basis (rotation.ts).
 */
export const qwen35: Family = {
  architecture: 'qwen35',
  metadata: [
    ...DECODER_METADATA,
    { json: 'tie_word_embeddings', gguf: 'tie_word_embeddings', type: 'bool' },
    { json: 'full_attention_interval', gguf: 'full_attention_interval', type: 'u32' },
    { json: ATTENTION_LAYERS, gguf: ATTENTION_LAYERS, type: 'u32 list' },
    { json: 'linear_conv_kernel_dim', gguf: 'ssm.conv_kernel', type: 'u32', isRequired: true },
    { json: 'linear_key_head_dim', gguf: 'ssm.state_size', type: 'u32', isRequired: true },
    { json: 'linear_num_key_heads', gguf: 'ssm.group_count', type: 'u32', isRequired: true },
    { json: 'linear_num_value_heads', gguf: 'ssm.time_step_rank', type: 'u32', isRequired: true },
    { json: 'linear_value_size', gguf: 'ssm.inner_size', type: 'u32', isRequired: true },
    { json: 'nextn_predict_layers', gguf: 'nextn_predict_layers', type: 'u32' },
    // llama.cpp wants it; for a text all of its positions are one.
    { json: 'rope_dimension_sections', gguf: 'rope.dimension_sections', type: 'i32 list' },
  ],

  recognises: ({ model_type: type, architectures }) =>
    type === 'qwen3_5' || type === 'qwen3_5_text' || type === 'qwen35' ||
    (Array.isArray(architectures) && ['Qwen3_5ForCausalLM', 'Qwen3_5ForConditionalGeneration'].some((name) => architectures.includes(name))),

  async blueprint(outer, generation, tensors) {
    const keys = textKeys(outer);
    refuseMlx(keys);
    if (!keys.boolean('attn_output_gate', true)) keys.fail('attn_output_gate', 'is false; only attention with a gate can be run');
    const gguf = ggufContents(keys);
    const sizes = withoutGuessers(keys, readDecoderSizes(keys, generation, { hasPartialRotation: true }));
    const shape = readShape(keys);
    const isAttention = attentionLayers(keys, sizes.config.layers);
    const isTied = readTied(keys, tensors);
    const unread = leftOutNames(keys, sizes.config.layers);
    const rotation = gguf || keys.has('prism_hadamard')
      ? (await import('./rotation.js').catch(missingPart)).readRotation(keys, gguf, isTied, unread) : undefined;
    const pairs = readPairs(keys, sizes.headDim);
    const computed = gguf || keys.boolean(AS_COMPUTED, false) ? undefined : 'less one';
    const blueprint = describeDecoder(keys, {
      ...sizes,
      architecture: qwen35.architecture,
      rope: readRope(keys, pairs, 10_000_000),
      window: Infinity,
      activation: oneOf(keys, 'hidden_act', 'silu', ['silu']),
      isTied,
      hasQKNorm: true,
      activations: 'int8',
      hasTernaryTables: true,
      prefix: tensors.has(`${INSIDE}.embed_tokens.weight`) ? INSIDE : 'model',
      hfNorms: computed,
      channelNorm: 'post_attention_norm',
      hasOutputGate: true,
      mixerOf: (n, hf, name, names) => (isAttention(n) ? undefined : deltaNet(shape, names, sizes, `${hf}.linear_attn`, name, computed !== undefined, rotation?.isGrouped(`${name}.ssm_out.weight`) === true)),
    });
    rotation?.check(keys.file, blueprint);
    const { value } = deltaNetWidths(shape);
    const attention = blueprint.blocks.filter(({ tokenMixer }) => tokenMixer?.kind === 'attention').length;
    return {
      ...blueprint,
      transformer: 'delta-net',
      deltaNet: shape,
      rotation: rotation?.spec,
      leftOut: unread,
      switches: [
        ...blueprint.switches,
        { name: 'kinds of layers', value: `${sizes.config.layers - attention} gated delta nets, ${attention} of attention`, why: keys.has('layer_types') ? 'layer_types' : 'full_attention_interval' },
        { name: 'delta net', value: `${shape.keyHeads} key heads of ${shape.keyDim}, ${shape.valueHeads} value heads of ${shape.valueDim}`, why: 'linear_num_key_heads, …' },
        ...leftOut(tensors, keys),
        ...(rotation ? rotation.switches : []),
      ],
      identity: [...blueprint.identity, shape.keyHeads, shape.valueHeads, shape.keyDim, value, pairs, ...blueprint.blocks.map((_, n) => Number(isAttention(n))), ...(rotation?.identity ?? [])],
    };
  },

  async keysOf(blueprint, layout) {
    const { keyHeads, valueHeads, keyDim, valueDim } = blueprint.deltaNet!;
    const { headDim, rope: { pairs } } = blueprint.attention!;
    const keys = decoderKeys(blueprint, layout);
    const types = blueprint.blocks.map(({ tokenMixer }) => (tokenMixer?.kind === 'attention' ? 'full_attention' : 'linear_attention'));
    const common: JsonObject = {
      ...keys,
      linear_conv_kernel_dim: TAPS, linear_key_head_dim: keyDim, linear_num_key_heads: keyHeads, linear_num_value_heads: valueHeads,
    };
    if (layout === 'gguf') {
      const interval = types.indexOf('full_attention') + 1 || types.length + 1;
      const isRegular = types.every((type, n) => (type === 'full_attention') === ((n + 1) % interval === 0));
      return {
        ...common, ...(isRegular ? { full_attention_interval: interval } : { [ATTENTION_LAYERS]: types.flatMap((type, n) => (type === 'full_attention' ? [n] : [])) }),
        linear_value_size: valueHeads * valueDim, rope_dimension_count: 2 * pairs, rope_dimension_sections: sectionsOf(pairs),
      };
    }
    return {
      architectures: ['Qwen3_5ForCausalLM'], model_type: 'qwen3_5_text', ...common, linear_value_head_dim: valueDim, layer_types: types, text_config: null,
      partial_rotary_factor: (2 * pairs) / headDim, [AS_COMPUTED]: true,
      prism_hadamard: blueprint.rotation ? (await import('./rotation.js').catch(missingPart)).rotationKeys(blueprint) : null,
    };
  },

  metadataOf: async (blueprint) => (blueprint.rotation ? (await import('./rotation.js').catch(missingPart)).rotationMetadata(blueprint) : new Map()),
};

/** As llama.cpp has them: a third of the pairs for each of three positions, the fourth unused. */
function sectionsOf(pairs: number): number[] {
  const last = Math.floor(pairs / 3);
  const first = Math.ceil((pairs - last) / 2);
  return [first, pairs - last - first, last, 0];
}

/** The keys of the text's part: those of `text_config`, over which the ones outside go that it leaves out. */
function textKeys(outer: KeyReader): KeyReader {
  const inner = child(outer, 'text_config');
  if (!inner) return outer;
  const outside = ['tie_word_embeddings', 'bos_token_id', 'eos_token_id', 'quantization', 'prism_hadamard'];
  const added = Object.fromEntries(outside.filter((key) => !inner.has(key)).map((key) => [key, outer.value(key)]));
  return new KeyReader(inner.file, { ...(outer.value('text_config') as JsonObject), ...added });
}

/** GGUF files count the layers of a head that guesses several tokens (MTP), which are the last ones. */
function withoutGuessers(keys: KeyReader, sizes: DecoderSizes): DecoderSizes {
  const { layers } = sizes.config;
  return { ...sizes, config: { ...sizes.config, layers: layers - keys.integer('nextn_predict_layers', 0, 0, layers - 1) } };
}

/** Of the vision tower, and of the head that guesses several tokens: nothing of it is read. */
function leftOutNames(keys: KeyReader, layers: number): RegExp {
  const blocks = Array.from({ length: keys.integer('nextn_predict_layers', 0, 0, MAX_LAYERS) }, (_, n) => `|blk\\.${layers + n}\\.`);
  return new RegExp(`^(model\\.visual\\.|mtp\\.${blocks.join('')})`);
}

function leftOut(tensors: TensorNames, keys: KeyReader): Switch[] {
  return [
    ...(tensors.has('model.visual.patch_embed.proj.weight') ? [{ name: 'left out', value: 'the vision tower (model.visual.*): this model reads text', why: 'these tensors are there' }] : []),
    ...(tensors.has('mtp.norm.weight') || keys.has('nextn_predict_layers') ? [{ name: 'left out', value: 'the head that guesses several tokens (MTP)', why: 'these tensors are there' }] : []),
  ];
}

function readShape(keys: KeyReader): GatedDeltaNetShape {
  const taps = keys.integer('linear_conv_kernel_dim', TAPS, 1, 64);
  if (taps !== TAPS) keys.fail('linear_conv_kernel_dim', `is ${taps}; only a convolution of ${TAPS} can be run`);
  const keyHeads = keys.integer('linear_num_key_heads', NaN, 1, MAX_COLUMNS);
  const valueHeads = keys.integer('linear_num_value_heads', NaN, 1, MAX_COLUMNS);
  if (valueHeads % keyHeads !== 0) keys.fail('linear_num_value_heads', `is ${valueHeads}, not a multiple of linear_num_key_heads, ${keyHeads}`);
  const size = keys.has('linear_value_size') ? keys.integer('linear_value_size', NaN, 1, MAX_COLUMNS) / valueHeads : NaN;
  const [keyDim, valueDim] = [keys.integer('linear_key_head_dim', NaN, 4, MAX_HEAD), keys.integer('linear_value_head_dim', size, 4, MAX_HEAD)];
  for (const [key, dim] of [['linear_key_head_dim', keyDim], ['linear_value_head_dim', valueDim]] as const) {
    if (dim % 4 !== 0) keys.fail(key, `is ${dim}, not a multiple of 4`);
  }
  const widest = Math.max(keyHeads * keyDim, valueHeads * valueDim);
  if (widest > MAX_COLUMNS) keys.fail('linear_num_value_heads', `and linear_num_key_heads give a layer of ${widest}; at most ${MAX_COLUMNS} can be run`);
  return { keyHeads, valueHeads, keyDim, valueDim };
}

/** A state has the product of two of them for each head. */
const MAX_HEAD = 1024;

/** Channels of a head that are turned by positions, in pairs. */
function readPairs(keys: KeyReader, headDim: number): number {
  const rope = child(keys, 'rope_parameters');
  const share = (rope?.has('partial_rotary_factor') ? rope : keys).positive('partial_rotary_factor', 0.25);
  const turned = keys.integer('rope_dimension_count', Math.trunc(headDim * Math.min(share, 1)), 2, headDim);
  return turned % 2 === 0 ? turned / 2 : keys.fail('rope_dimension_count', `is ${turned}, not an even number`);
}

function attentionLayers(keys: KeyReader, layers: number): (n: number) => boolean {
  const types = keys.value('layer_types');
  if (types === undefined && keys.has(ATTENTION_LAYERS)) {
    const listed = readLayers(keys, ATTENTION_LAYERS, layers);
    return (n) => listed.includes(n);
  }
  if (types === undefined) {
    const interval = keys.integer('full_attention_interval', DEFAULT_INTERVAL, 1, MAX_COLUMNS);
    return (n) => (n + 1) % interval === 0;
  }
  if (!Array.isArray(types) || types.length !== layers || types.some((type) => type !== 'full_attention' && type !== 'linear_attention')) {
    return keys.fail('layer_types', `is ${show(types)}; it must be "linear_attention" or "full_attention" for each of ${layers} layers`);
  }
  return (n) => types[n] === 'full_attention';
}

/** @param isStoredAsTrained of norms and decays. @param isGrouped whether GGUF files have the columns of out_proj as the model does. */
function deltaNet(
  shape: GatedDeltaNetShape, { tensor, norm, linear }: DecoderNames, { config: { hiddenSize: D } }: DecoderSizes, hf: string, gguf: string, isStoredAsTrained: boolean, isGrouped: boolean,
): GatedDeltaNetSpec {
  const { keyHeads, valueHeads, valueDim } = shape;
  const { key, value, channels, state } = deltaNetWidths(shape);
  const tiles = (first: number, width: number): Pick<TensorSpec, 'ggufTiles'> =>
    (valueHeads === keyHeads ? {} : { ggufTiles: { first, width, keys: keyHeads, perKey: valueHeads / keyHeads } });
  const named = (name: string, ggufName: string, ...dimensions: number[]): TensorSpec => ({ hf: `${hf}.${name}`, gguf: `${gguf}.${ggufName}`, shape: dimensions });
  const weight = (name: string, ggufName: string, out: number, input: number, order: Partial<TensorSpec>): { weight: TensorSpec } =>
    ({ weight: { ...linear(`${hf}.${name}`, `${gguf}.${ggufName}`, out, input).weight, ...order } });
  return {
    kind: 'gated-delta-net', ...shape, stateSize: state,
    parts: {
      inputProjection: weight('in_proj_qkv', 'attn_qkv', channels, D, tiles(2 * key, valueDim)),
      gateProjection: weight('in_proj_z', 'attn_gate', value, D, tiles(0, valueDim)),
      rateProjection: { eps: undefined, weight: { ...tensor(`${hf}.in_proj_b`, `${gguf}.ssm_beta`, valueHeads, D), ...tiles(0, 1) } },
      decayProjection: { eps: undefined, weight: { ...tensor(`${hf}.in_proj_a`, `${gguf}.ssm_alpha`, valueHeads, D), ...tiles(0, 1) } },
      convolution: { eps: undefined, weight: { ...tensor(`${hf}.conv1d`, `${gguf}.ssm_conv1d`, channels, TAPS), ...tiles(2 * key, valueDim) } },
      decayBias: { eps: undefined, weight: { ...named('dt_bias', 'ssm_dt.bias', valueHeads), ...tiles(0, 1) } },
      decay: { eps: undefined, weight: { ...named('A_log', 'ssm_a', valueHeads), hfFloats: isStoredAsTrained ? 'log' : undefined, ...tiles(0, 1) } },
      norm: { ...norm(`${hf}.norm`, `${gguf}.ssm_norm`, valueDim), weight: tensor(`${hf}.norm`, `${gguf}.ssm_norm`, valueDim) },
      outputProjection: weight('out_proj', 'ssm_out', D, value, isGrouped ? {} : { ggufColumnTiles: tiles(0, valueDim).ggufTiles }),
    },
  };
}
