import type { ConvertOptions } from '../convert/convert.js';
import type { ConvertToSafetensorsOptions, FilePart } from '../convert/packed-safetensors.js';
import { missingPart } from '../errors.js';
import type { ModelSource } from '../sources/source.js';
import type { PrunePlan } from './plan.js';
import type { CalibrationText, LayerSimilarities, MeasuredModel, MeasureLayersOptions } from './similarity.js';

/*
 * What can be left out of a model (He et al., 2024, "What Matters in Transformers?", arXiv 2406.15786; ternary-transformers.md §7), as index.ts
 * names it: what it takes loads with the first call.
 */

/**
 * How much each token mixer, channel mixer and block changes what passes through it, on a calibration text: the mean over all tokens of the
 * cosine between the residual before and after it. Norm and residual belong to the part. One that changes little (1: nothing but the length)
 * may be dispensable: `planPruning` takes such.
 * @throws ArgumentError (no tokens, an id out of range, an option), TokenizerError, the signal's reason.
 */
export async function measureLayers(lm: MeasuredModel, text: CalibrationText, options: MeasureLayersOptions = {}): Promise<LayerSimilarities> {
  return (await import('./similarity.js').catch(missingPart)).measure(lm, text, options);
}

/**
 * Writes a model without what a plan names, as one GGUF file: yields its bytes in order, as `convert` does, with its options. What is left computes as before. A
 * model loaded from it keeps no state and no keys and values for what is gone, and spends no time on it; the file has no tensors of it. Its
 * metadata say what is missing: `drop_attn_list` and `drop_mlp_list`, behind the architecture's name.
 * @throws ArgumentError for a plan of nothing, a layer that is not there, one that is left out already; as `MatMulFreeLM.load` does.
 */
export async function* prune(source: ModelSource, plan: PrunePlan, options: ConvertOptions = {}): AsyncGenerator<Uint8Array, void, undefined> {
  yield* (await import('./write.js').catch(missingPart)).writeGguf(source, plan, options);
}

/** As `prune`, a folder in Hugging Face layout, as `convertToSafetensors` writes it: config.json has the lists. */
export async function* pruneToSafetensors(source: ModelSource, plan: PrunePlan, options: ConvertToSafetensorsOptions = {}): AsyncGenerator<FilePart, void, undefined> {
  yield* (await import('./write.js').catch(missingPart)).writeFolder(source, plan, options);
}
