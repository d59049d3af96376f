import type { ModelConfig } from './config.js';

/*
 * The one place that knows what tensors a model has and what the file formats call them. `hf` is the name in safetensors and
 * PyTorch checkpoints, `gguf` in GGUF files, where a ternary weight `….weight` has its scale in `….scale`.
 */

export interface TensorSpec {
  readonly hf: string;
  readonly gguf: string;
  /** Outermost dimension first. */
  readonly shape: readonly number[];
}

export interface BitLinearSpec {
  readonly weight: TensorSpec; // [out, in], ternary
  readonly norm: TensorSpec; //   [in]
}

export interface LayerSpec {
  readonly tokenNorm: TensorSpec;
  readonly inputProjection: BitLinearSpec;
  readonly forgetProjection: BitLinearSpec;
  readonly gateProjection: BitLinearSpec;
  readonly gateNorm: TensorSpec;
  readonly outputProjection: BitLinearSpec;
  readonly channelNorm: TensorSpec;
  readonly mlpGate: BitLinearSpec;
  readonly mlpDown: BitLinearSpec;
}

export interface ModelSpec {
  readonly embeddings: TensorSpec;
  readonly lowerBounds: TensorSpec | undefined;
  readonly layers: readonly LayerSpec[];
  readonly norm: TensorSpec;
  readonly head: BitLinearSpec;
}

/** Names and shapes of all tensors of a model of this configuration. */
export function modelSpec(config: ModelConfig): ModelSpec {
  const { vocabSize: V, hiddenSize: D, recurrentSize: I, intermediateSize: F, layers: L } = config;
  const layers: LayerSpec[] = [];
  for (let n = 0; n < L; n++) {
    const hf = `model.layers.${n}`;
    const gguf = `blk.${n}`;
    layers.push({
      tokenNorm: vector(`${hf}.attn_norm`, `${gguf}.attn_norm`, D),
      inputProjection: bitLinear(`${hf}.attn.i_proj`, `${gguf}.attn_i`, I, D),
      forgetProjection: bitLinear(`${hf}.attn.f_proj`, `${gguf}.attn_f`, I, D),
      gateProjection: bitLinear(`${hf}.attn.g_proj`, `${gguf}.attn_g`, I, D),
      gateNorm: vector(`${hf}.attn.g_norm`, `${gguf}.attn_g_norm`, I),
      outputProjection: bitLinear(`${hf}.attn.o_proj`, `${gguf}.attn_o`, D, I),
      channelNorm: vector(`${hf}.mlp_norm`, `${gguf}.ffn_norm`, D),
      mlpGate: bitLinear(`${hf}.mlp.gate_proj`, `${gguf}.ffn_gate`, 2 * F, D),
      mlpDown: bitLinear(`${hf}.mlp.down_proj`, `${gguf}.ffn_down`, D, F),
    });
  }
  return {
    embeddings: { hf: 'model.embeddings.weight', gguf: 'token_embd.weight', shape: [V, D] },
    lowerBounds: config.useLowerBound
      ? { hf: 'model.lower_bounds', gguf: 'attn_lower_bounds.weight', shape: [L, D] }
      : undefined,
    layers,
    norm: vector('model.norm', 'output_norm', D),
    head: bitLinear('lm_head', 'output', V, D),
  };
}

function vector(hf: string, gguf: string, width: number): TensorSpec {
  return { hf: `${hf}.weight`, gguf: `${gguf}.weight`, shape: [width] };
}

function bitLinear(hf: string, gguf: string, out: number, input: number): BitLinearSpec {
  return {
    weight: { hf: `${hf}.weight`, gguf: `${gguf}.weight`, shape: [out, input] },
    norm: vector(`${hf}.norm`, `${gguf}.norm`, input),
  };
}

export function ggufScaleName(weight: TensorSpec): string {
  return weight.gguf.replace(/\.weight$/, '.scale');
}

/** In safetensors and PyTorch checkpoints whose ternary weights are packed. */
export function hfScaleName(weight: TensorSpec): string {
  return `${weight.hf}_scale`;
}

/** The BitLinears of a layer in file order, with their short names. */
export function layerBitLinears(layer: LayerSpec): readonly BitLinearSpec[] {
  return [
    layer.inputProjection, layer.forgetProjection, layer.gateProjection, layer.outputProjection, layer.mlpGate,
    layer.mlpDown,
  ];
}

/** All tensors that are plain floats, the embedding table excepted. */
export function floatSpecs(spec: ModelSpec): TensorSpec[] {
  const specs = spec.layers.flatMap((layer) => [
    layer.tokenNorm, layer.gateNorm, layer.channelNorm, ...layerBitLinears(layer).map((linear) => linear.norm),
  ]);
  specs.push(spec.norm, spec.head.norm);
  if (spec.lowerBounds) specs.push(spec.lowerBounds);
  return specs;
}

/** All ternary weights. */
export function ternarySpecs(spec: ModelSpec): TensorSpec[] {
  return [...spec.layers.flatMap((layer) => layerBitLinears(layer).map((linear) => linear.weight)), spec.head.weight];
}
