import type { JsonObject } from '../formats/bytes.js';
import type { Blueprint } from './blueprint.js';
import type { Layout } from './family.js';
import type { HybridLayer } from './hybrid.js';

/** Numbers of each layer, 0 for those that are recurrent; undefined for a model without attention. */
function perLayer({ blocks }: Blueprint, number: (layer: HybridLayer) => number): number[] | undefined {
  const layers = hybridLayers(blocks);
  return layers.some((layer) => layer !== undefined) ? layers.map((layer) => (layer ? number(layer) : 0)) : undefined;
}

function hybridLayers(blocks: Blueprint['blocks']): (HybridLayer | undefined)[] {
  return blocks.map(({ tokenMixer }) => {
    if (tokenMixer?.kind !== 'attention') return undefined;
    const { headDim, kvHeads, window, rope, parts } = tokenMixer;
    return { heads: parts.queryProjection.weight.shape[0]! / headDim, kvHeads, window, theta: rope.theta };
  });
}

/** The lists of GGUF files. */
function hybridLists(blueprint: Blueprint): JsonObject {
  return {
    attn_heads: perLayer(blueprint, ({ heads }) => heads),
    attn_kv_heads: perLayer(blueprint, ({ kvHeads }) => kvHeads),
    attn_windows: perLayer(blueprint, ({ window }) => (Number.isFinite(window) ? window : 0)),
    attn_thetas: perLayer(blueprint, ({ theta }) => theta),
  };
}

/** `attn` of a hybrid: layers that agree in all are in one object. */
function hybridKeys({ blocks }: Blueprint): JsonObject {
  const groups = new Map<string, { layers: number[]; layer: HybridLayer }>();
  hybridLayers(blocks).forEach((layer, n) => {
    if (!layer) return;
    const key = JSON.stringify([layer.heads, layer.kvHeads, layer.window, layer.theta]);
    const group = groups.get(key) ?? { layers: [], layer };
    group.layers.push(n);
    groups.set(key, group);
  });
  const attn = [...groups.values()].map(({ layers, layer: { heads, kvHeads, window, theta } }) => ({
    layers, num_heads: heads, num_kv_heads: kvHeads, window_size: Number.isFinite(window) ? window : null, rope_theta: theta,
  }));
  return attn.length === 0 ? {} : { attn: attn.length === 1 ? attn[0] : attn };
}

/** The state's width as the authors' ratio, whose product with hidden_size must not come out below it; and exactly, where it is another. */
function recurrentSizeKeys(hiddenSize: number, recurrentSize: number): JsonObject {
  if (recurrentSize === hiddenSize) return { expand_ratio: 1 };
  const ratio = recurrentSize / hiddenSize;
  return { expand_ratio: Math.trunc(hiddenSize * ratio) === recurrentSize ? ratio : (recurrentSize + 0.5) / hiddenSize, recurrent_size: recurrentSize };
}

/** See `Family.keysOf`. */
export function matMulFreeKeys(blueprint: Blueprint, layout: Layout): JsonObject {
  const { config, lowerBounds } = blueprint;
  const { hiddenSize, recurrentSize, eosTokenIds } = config;
  return {
    architectures: ['HGRNBitForCausalLM'],
    model_type: 'hgrn_bit',
    vocab_size: config.vocabSize,
    hidden_size: hiddenSize,
    ...recurrentSizeKeys(hiddenSize, recurrentSize),
    intermediate_size: config.intermediateSize,
    num_hidden_layers: config.layers,
    max_position_embeddings: config.trainedContext,
    rms_norm_eps: config.rmsNormEps,
    use_lower_bound: lowerBounds !== undefined,
    ...(layout === 'hf' ? hybridKeys(blueprint) : hybridLists(blueprint)),
    bos_token_id: config.bosTokenId ?? null,
    eos_token_id: eosTokenIds.length > 1 ? eosTokenIds : (eosTokenIds[0] ?? null),
  };
}
