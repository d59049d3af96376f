import { show } from '../errors.js';
import type { Activation } from '../kernels/kernels.js';
import { MAX_COLUMNS } from '../kernels/kernels.js';
import type { GroupedActivations } from '../layers/grouped-linear.js';
import type { RopeSpec } from '../layers/rope.js';
import type { JsonObject } from '../formats/bytes.js';
import { refuseRotated } from '../formats/ggml-refusals.js';
import type { AttentionSpec, BitLinearSpec, BlockSpec, Blueprint, GatedDeltaNetSpec, NormSpec, Switch, TensorSpec } from './blueprint.js';
import { bosId, checkVocabulary, eosIds, MAX_CONTEXT, MAX_LAYERS, MAX_VOCABULARY, rmsEpsilon, type KeyReader, type ModelConfig } from './config.js';
import type { GgufContents, Layout, MetadataKey, TensorNames } from './family.js';
import { ROPE_METADATA, ropeIdentity, ropeKeys } from './rope.js';

/*
 * A pre-norm decoder as Llama has it, with the switches by which ternary Transformers differ (ternary-transformers.md §0). Tensor names
 * are those of Hugging Face's Llama, and of llama.cpp.
 */

export interface DecoderOptions {
  readonly architecture: string;
  readonly config: ModelConfig;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly rope: RopeSpec;
  readonly window: number;
  readonly activation: Activation;
  /** Whether the head is the table of the embeddings. */
  readonly isTied: boolean;
  /** Whether GGUF files have the rows of queries and keys in pairs (`TensorSpec.ggufPairs`). */
  readonly hasPairedRows?: boolean;
  /** Names of the norms before o_proj and down_proj, in Hugging Face's layout, where there are such. */
  readonly subNorms?: { readonly attention: string; readonly feedForward: string } | undefined;
  /** Whether each head's queries and keys are normed. */
  readonly hasQKNorm?: boolean;
  /** Of projections whose scales are for groups of columns: how their activations are rounded. */
  readonly activations?: GroupedActivations | undefined;
  /** Whether embeddings and head are such weights too. */
  readonly hasTernaryTables?: boolean;
  /** What the names of layers and embeddings begin with in Hugging Face's layout. Default: model. */
  readonly prefix?: string;
  /** How norms are stored there. */
  readonly hfNorms?: TensorSpec['hfFloats'];
  /** A block's second norm, as GGUF calls it. Default: ffn_norm. */
  readonly channelNorm?: string;
  /** Whether the queries' projection gives a gate for what attention gives. */
  readonly hasOutputGate?: boolean;
  /** The token mixer of layer `n` that is no attention. @param hf, gguf its layer's names. */
  readonly mixerOf?: (n: number, hf: string, gguf: string, names: DecoderNames) => GatedDeltaNetSpec | undefined;
}

/** Parts under their names, without .weight. */
export interface DecoderNames {
  tensor(hf: string, gguf: string, ...shape: number[]): TensorSpec;
  norm(hf: string, gguf: string, width: number): NormSpec;
  linear(hf: string, gguf: string, out: number, input: number): BitLinearSpec;
}

/** What tells apart the decoders of one family. @param keys that they were read from. */
function switchesOf(keys: KeyReader, { rope: { theta, scaling }, window, activation, isTied, subNorms, hasQKNorm, activations, hasTernaryTables }: DecoderOptions): Switch[] {
  const by = (...names: string[]): string => names.filter((name) => keys.has(name)).join(', ') || 'nothing says otherwise';
  return [
    { name: 'activation', value: activation, why: by('hidden_act') },
    {
      name: 'sub-norms', value: subNorms ? `before o_proj (${subNorms.attention}) and down_proj (${subNorms.feedForward})` : 'none',
      why: subNorms ? 'these tensors are there' : 'no such tensors are there',
    },
    ...(hasQKNorm ? [{ name: 'QK norm', value: 'each head of queries and keys', why: 'the family has it' }] : []),
    ...(activations ? [{
      name: 'activations', value: activations === 'int8' ? 'rounded to int8, 128 columns at a time' : 'not rounded',
      why: activations === 'int8' ? 'ours: the model has floats' : 'the family has floats',
    }] : []),
    { name: 'head', value: `${isTied ? 'the table of the embeddings' : 'a table of its own'}${hasTernaryTables ? ', ternary' : ''}`, why: by('tie_word_embeddings') },
    { name: 'positions', value: `RoPE, theta ${theta}${scaling ? `, ${scaling.kind} scaling by ${scaling.factor}` : ''}`, why: by('rope_theta', 'rope_scaling', 'rope_parameters') },
    ...(Number.isFinite(window) ? [{ name: 'window', value: `${window} tokens`, why: by('sliding_window') }] : []),
  ];
}

export interface DecoderSizes extends Pick<DecoderOptions, 'config' | 'heads' | 'kvHeads' | 'headDim'> {}

/** Keys that ask for what is not done here, with what they say when they ask for nothing. */
const NOT_ASKED: Readonly<Record<string, unknown>> = { rope_interleaved: false, rotary_pct: 1, parallel_attn: false, use_parallel_residual: false };
/** The same, of those whose heads are turned as a whole. */
const NO_PART = { partial_rotary_factor: 1 };

/** @throws ConfigError for a model that would run, and be another one. */
function refuseVariants(keys: KeyReader, hasPartialRotation: boolean): void {
  for (const bias of ['attention_bias', 'mlp_bias']) if (keys.boolean(bias, false)) keys.fail(bias, 'is true; no ternary model has one');
  for (const [key, nothing] of Object.entries(hasPartialRotation ? NOT_ASKED : { ...NOT_ASKED, ...NO_PART })) {
    if (keys.has(key) && keys.value(key) !== nothing) keys.fail(key, `is ${show(keys.value(key))}; only ${show(nothing)} can be run`);
  }
  if (keys.has('sliding_window') && keys.value('use_sliding_window') !== false) {
    keys.fail('sliding_window', `is ${show(keys.value('sliding_window'))}; only a model that sees all of its text can be run`);
  }
}

/** @throws ConfigError for a checkpoint of Bonsai's that is packed for MLX. */
export function refuseMlx(keys: KeyReader): void {
  if (!keys.has('quantization')) return;
  keys.fail('quantization', `is ${show(keys.value('quantization'))}: weights packed for MLX, which cannot be read; take the model's GGUF file, or its "unpacked" repository`);
}

/** Whether the head is the table of the embeddings: a key says so, or in GGUF files the tensor that is not there. */
export function readTied(keys: KeyReader, tensors: TensorNames): boolean {
  return keys.boolean('tie_word_embeddings', tensors.has('token_embd.weight') && !tensors.has('output.weight'));
}

/** What the GGUF file holds that the keys are from, if they are. */
export function ggufContents(keys: KeyReader): GgufContents | undefined {
  const contents = keys.value('gguf') as Partial<GgufContents> | undefined;
  return contents?.metadata instanceof Map ? (contents as GgufContents) : undefined;
}

/** @throws FormatError, ConfigError for a GGUF file with more than these families compute. */
function refuseMore(keys: KeyReader): void {
  const { metadata, tensors } = ggufContents(keys) ?? {};
  if (metadata) refuseRotated(keys.file, metadata);
  if (tensors?.has('rope_freqs.weight')) {
    keys.fail('rope_freqs.weight', 'is there, a tensor that scales the positions\' frequencies (Llama 3.1 and later), which cannot be read; take the model in safetensors, where rope_scaling says the same');
  }
}

/**
 * Sizes of a decoder from its keys, which have no defaults here but for those that published files leave out.
 * @param options hasPartialRotation: whether positions may turn a part of a head.
 */
export function readDecoderSizes(keys: KeyReader, generation: JsonObject, { hasPartialRotation = false } = {}): DecoderSizes {
  refuseMore(keys);
  const hiddenSize = keys.integer('hidden_size', NaN, 1, MAX_COLUMNS);
  const vocabSize = keys.integer('vocab_size', ggufContents(keys)?.tensors.get('token_embd.weight')?.shape[0] ?? NaN, 1, MAX_VOCABULARY);
  checkVocabulary(keys, vocabSize, hiddenSize);
  const heads = keys.integer('num_attention_heads', NaN, 1, MAX_COLUMNS);
  const kvHeads = keys.integer('num_key_value_heads', heads, 1, heads);
  if (heads % kvHeads !== 0) keys.fail('num_key_value_heads', `is ${kvHeads}, which does not divide num_attention_heads, ${heads}`);
  if (!keys.has('head_dim') && hiddenSize % heads !== 0) keys.fail('num_attention_heads', `is ${heads}, which does not divide hidden_size, ${hiddenSize}`);
  const headDim = keys.integer('head_dim', hiddenSize / heads, 2, MAX_COLUMNS);
  if (headDim % 4 !== 0) keys.fail('head_dim', `is ${headDim}, not a multiple of 4`);
  if (heads * headDim > MAX_COLUMNS) keys.fail('head_dim', `is ${headDim}: ${heads} heads of it are wider than ${MAX_COLUMNS}`);
  for (const [key, whole] of [['value_length', 'values as wide as keys'], ['rope_dimension_count', 'all of a head turned by its position']] as const) {
    if (!(hasPartialRotation && key === 'rope_dimension_count') && keys.has(key) && keys.value(key) !== headDim) keys.fail(key, `is ${show(keys.value(key))} and a head ${headDim}; only ${whole} can be run`);
  }
  refuseVariants(keys, hasPartialRotation);
  return {
    heads, kvHeads, headDim,
    config: {
      vocabSize, hiddenSize, recurrentSize: 0,
      intermediateSize: keys.integer('intermediate_size', NaN, 1, MAX_COLUMNS),
      layers: keys.integer('num_hidden_layers', NaN, 1, MAX_LAYERS),
      rmsNormEps: rmsEpsilon(keys, NaN),
      trainedContext: keys.integer('max_position_embeddings', NaN, 1, MAX_CONTEXT),
      bosTokenId: bosId(keys, undefined),
      eosTokenIds: eosIds(keys, generation, undefined),
    },
  };
}

export const DECODER_METADATA: readonly MetadataKey[] = [
  { json: 'num_hidden_layers', gguf: 'block_count', type: 'u32', isRequired: true },
  { json: 'max_position_embeddings', gguf: 'context_length', type: 'u32', isRequired: true },
  { json: 'hidden_size', gguf: 'embedding_length', type: 'u32', isRequired: true },
  { json: 'intermediate_size', gguf: 'feed_forward_length', type: 'u32', isRequired: true },
  { json: 'num_attention_heads', gguf: 'attention.head_count', type: 'u32', isRequired: true },
  { json: 'num_key_value_heads', gguf: 'attention.head_count_kv', type: 'u32' },
  { json: 'head_dim', gguf: 'attention.key_length', type: 'u32' },
  { json: 'value_length', gguf: 'attention.value_length', type: 'u32' },
  { json: 'rope_dimension_count', gguf: 'rope.dimension_count', type: 'u32' },
  { json: 'rms_norm_eps', gguf: 'attention.layer_norm_rms_epsilon', type: 'f32', isRequired: true },
  { json: 'vocab_size', gguf: 'vocab_size', type: 'u32' }, // else the embeddings tell
  ...ROPE_METADATA,
];

export function describeDecoder(keys: KeyReader, options: DecoderOptions): Blueprint {
  const { architecture, config, heads, kvHeads, headDim, rope, window, activation, isTied, subNorms, hasPairedRows, hasQKNorm, activations, hasTernaryTables } = options;
  const { prefix = 'model', hfNorms, channelNorm = 'ffn_norm', hasOutputGate, mixerOf } = options;
  const { vocabSize: V, hiddenSize: D, intermediateSize: F, layers: L, rmsNormEps: eps } = config;
  const tensor = (hf: string, gguf: string, ...shape: number[]): TensorSpec => ({ hf: `${hf}.weight`, gguf: `${gguf}.weight`, shape });
  const norm = (hf: string, gguf: string, width: number): NormSpec => ({ weight: { ...tensor(hf, gguf, width), hfFloats: hfNorms }, eps });
  const ternary = (hf: string, gguf: string, out: number, input: number): TensorSpec => ({ ...tensor(hf, gguf, out, input), isGrouped: activations && true });
  const linear = (hf: string, gguf: string, out: number, input: number): BitLinearSpec => ({ weight: ternary(hf, gguf, out, input) });
  const rotated = (hf: string, gguf: string, out: number): BitLinearSpec => ({
    weight: { ...ternary(hf, gguf, out, D), ggufPairs: hasPairedRows ? headDim : undefined },
  });
  const attention = (hf: string, gguf: string): AttentionSpec => ({
    kind: 'attention', kvHeads, headDim, rope, window,
    parts: {
      queryProjection: rotated(`${hf}.q_proj`, `${gguf}.attn_q`, heads * headDim * (hasOutputGate ? 2 : 1)),
      keyProjection: rotated(`${hf}.k_proj`, `${gguf}.attn_k`, kvHeads * headDim),
      valueProjection: linear(`${hf}.v_proj`, `${gguf}.attn_v`, kvHeads * headDim, D),
      ...(hasQKNorm && { queryNorm: norm(`${hf}.q_norm`, `${gguf}.attn_q_norm`, headDim), keyNorm: norm(`${hf}.k_norm`, `${gguf}.attn_k_norm`, headDim) }),
      subNorm: subNorms && norm(`${hf}.${subNorms.attention}`, `${gguf}.attn_sub_norm`, heads * headDim),
      outputProjection: linear(`${hf}.o_proj`, `${gguf}.attn_output`, D, heads * headDim),
    },
  });
  const block = (n: number): BlockSpec => {
    const hf = `${prefix}.layers.${n}`;
    const gguf = `blk.${n}`;
    return {
      tokenNorm: norm(`${hf}.input_layernorm`, `${gguf}.attn_norm`, D),
      tokenMixer: mixerOf?.(n, hf, gguf, { tensor, norm, linear }) ?? attention(`${hf}.self_attn`, gguf),
      channelNorm: norm(`${hf}.post_attention_layernorm`, `${gguf}.${channelNorm}`, D),
      channelMixer: {
        kind: 'glu', activation,
        parts: {
          gateProjection: linear(`${hf}.mlp.gate_proj`, `${gguf}.ffn_gate`, F, D),
          upProjection: linear(`${hf}.mlp.up_proj`, `${gguf}.ffn_up`, F, D),
          subNorm: subNorms && norm(`${hf}.mlp.${subNorms.feedForward}`, `${gguf}.ffn_sub_norm`, F),
          downProjection: linear(`${hf}.mlp.down_proj`, `${gguf}.ffn_down`, D, F),
        },
      },
    };
  };
  const table = hasTernaryTables ? ternary : tensor;
  const embeddings = table(`${prefix}.embed_tokens`, 'token_embd', V, D);
  const head = isTied ? embeddings : table('lm_head', 'output', V, D);
  const blocks = Array.from({ length: L }, (_, n) => block(n));
  return {
    architecture, config, embeddings, blocks,
    lowerBounds: undefined,
    norm: norm(`${prefix}.norm`, 'output_norm', D),
    head: hasTernaryTables ? { weight: head } : { table: head },
    roundsScales: true,
    activations,
    transformer: true,
    attention: { heads, kvHeads, headDim, rope },
    // Only attention knows of positions.
    maxPositions: blocks.some(({ tokenMixer }) => tokenMixer?.kind === 'attention') ? config.trainedContext : Infinity,
    switches: switchesOf(keys, options),
    identity: [V, D, F, L, heads, kvHeads, headDim, activation === 'silu' ? 0 : 1, Number.isFinite(window) ? window : 0, ...ropeIdentity(rope), ...(activations === undefined ? [] : [activations === 'int8' ? 8 : 32])],
  };
}

/** The keys of config.json that give a decoder again; in GGUF, also what llama.cpp would otherwise take for granted. */
export function decoderKeys({ config, blocks, attention, embeddings, head }: Blueprint, layout: Layout): JsonObject {
  const channelMixer = blocks[0]?.channelMixer;
  if (!attention || !channelMixer) return {}; // no decoder of describeDecoder
  const { heads, headDim, kvHeads, rope } = attention;
  const { eosTokenIds } = config;
  return {
    vocab_size: config.vocabSize,
    hidden_size: config.hiddenSize,
    intermediate_size: config.intermediateSize,
    num_hidden_layers: config.layers,
    num_attention_heads: heads,
    num_key_value_heads: kvHeads,
    head_dim: headDim,
    ...(layout === 'gguf' && { value_length: headDim }),
    hidden_act: channelMixer.activation,
    max_position_embeddings: config.trainedContext,
    rms_norm_eps: config.rmsNormEps,
    ...ropeKeys(rope),
    rope_parameters: null,
    tie_word_embeddings: ('table' in head ? head.table : head.weight) === embeddings,
    bos_token_id: config.bosTokenId ?? null,
    eos_token_id: eosTokenIds.length > 1 ? eosTokenIds : (eosTokenIds[0] ?? null),
  };
}
