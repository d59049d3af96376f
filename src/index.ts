/** The public API of matmulfree. Everything here runs in Node and in browsers. */
export type * from './platform/globals.js';
export { MatMulFreeLM, type ForwardOptions, type LoadOptions } from './lm.js';
export type { ModelSource } from './sources/source.js';
export type { RemoteOptions } from './sources/hub/remote.js';
export { publishedModels, type PublishedModel } from './sources/published-models.js';
export { clearCache, listCache, type CacheEntry, type CacheOptions } from './sources/hub/cache-admin.js';
export type { FileContent } from './formats/bytes.js';
export type { FinishReason, GenerateIdsOptions, GenerateOptions, GenerateResult, GenerateTokensOptions } from './generate/options.js';
export type { BatchOptions, BatchPrompt, BatchResult, BatchTextOptions } from './generate/batch.js';
export type { AnswerPiece } from './generate/answer-stream.js';
export type { ChatOptions, ChatResult, Conversation, SayOptions } from './generate/conversation.js';
export type { Completion } from './generate/complete.js';
export type { Prompt } from './generate/prompt.js';
export type { ChatMessage, TextPart, Tool, ToolCall } from './chat/messages.js';
export type { BeamIds, BeamSearchOptions } from './generate/beam-search.js';
export type { TokenPiece } from './generate/text-pieces.js';
export type { ApplyChatTemplateOptions } from './chat/apply.js';
export type { RenderOptions } from './chat/format.js';
export type { Drafter } from './speculate/drafter.js';
export { compileChoices, compileJsonSchema, compileRegex } from './constrain/constraints.js';
export type { ConstraintSpec } from './constrain/compile.js';
export type { CompileOptions, Constraint, ConstraintState } from './constrain/constraint.js';
export { ChatTemplate } from './chat/chat-template.js';
export type { ChatTemplateOptions } from './chat/compile.js';
export { ChatTemplateError } from './chat/error.js';
export type { TemplatePiece } from './chat/text.js';
export type { PrefixCache } from './generate/prefix-cache.js';
export type { AppendOptions, InSession, Session, SessionMark } from './generate/session.js';
export type { Score, ScoreOptions } from './scoring/score.js';
export type { Choice, ChoiceScore, ChooseOptions, PairOptions } from './scoring/choose.js';
export type { ContinuationScore } from './scoring/continuations.js';
export type { EmbedOptions } from './scoring/embed.js';
export type {
  Perplexity, PerplexityInput, PerplexityOptions, PerplexityProgress, TextFigures,
} from './scoring/perplexity.js';
export { evaluate, type EvaluatedModel, type EvaluateOptions, type Evaluation, type Metric } from './scoring/evaluate.js';
export { parseTask, type ChoicesItem, type ContextsItem, type LastWordItem, type TaskItem } from './scoring/items.js';
export type { ModelConfig } from './architectures/config.js';
export type { LayerInfo, ModelInfo, Operations } from './model/describe.js';
export type { Progress } from './model/load-model.js';
export { ModelState, type StateShape } from './model/state.js';
export type { TernaryCount } from './model/weights.js';
export {
  ArgumentError, BackendError, ConfigError, FormatError, MatMulFreeError, SourceError, TokenizerError,
} from './errors.js';

// For programs that take options and text files themselves, as the command line does.
export { didYouMean } from './options.js';

// Text and ids.
export {
  Tokenizer, type DecodeOptions, type DecodeStream, type DecodeStreamOptions, type EncodeOptions, type TokenizerOptions,
} from './tokenizer/tokenizer.js';
export { argmax, Sampler } from './sampling/sampler.js';
export type { LogitsProcessor, SamplerOptions, SamplingOptions, ValueByNumber } from './sampling/sampling-options.js';

// Pieces for models of your own.
export { measureArena, type Arena } from './kernels/arena.js';
export { BACKEND_NAMES } from './kernels/kernels.js';
export type { Activation, BackendName, GroupedMatrix, Kernels, KeyValuePages, PageTable, TernaryMatrix, TransformerKernels } from './kernels/kernels.js';
export { availableBackends, createKernels, unavailableBackends, type KernelOptions } from './kernels/create.js';
export { createScalarKernels } from './kernels/scalar/scalar.js';
export { BIT_LINEAR_EPS, BitLinear } from './layers/bit-linear.js';
export { Block, type BlockParts } from './layers/block.js';
export { Embedding } from './layers/embedding.js';
export { GLU, type GLUParts } from './layers/glu.js';
export { Attention, type AttentionParts } from './layers/attention.js';
export { allocateGroupedWorkspace, GroupedLinear, type GroupedActivations, type GroupedWorkspace } from './layers/grouped-linear.js';
export type { AttentionMixer, ChannelMixer, Linear, RecurrentMixer, TokenMixer } from './layers/mixers.js';
export { MLGRU, type MLGRUParts } from './layers/mlgru.js';
export { RMSNorm } from './layers/rms-norm.js';
export { Rope, type Llama3Scaling, type RopeSpec, type YarnScaling } from './layers/rope.js';
export { TernaryEmbedding } from './layers/ternary-embedding.js';
export { allocateWorkspace, type Widths, type Workspace } from './layers/workspace.js';
export { loadModel, modelBytes, type LoadModelOptions } from './model/load-model.js';
export { Model, type ModelParts, type RowSink } from './model/model.js';
export type { SequenceInput } from './model/chunk.js';
export { StateHistory } from './model/state-history.js';
export { KeyReader } from './architectures/config.js';
export { describeDecoder, readDecoderSizes, type DecoderOptions, type DecoderSizes } from './architectures/decoder.js';
export type { Family, Layout, MetadataKey, TensorNames } from './architectures/family.js';
export { parseConfig } from './architectures/parse-config.js';
export type { Checkpoint, CheckpointTexts, OnRow, Reading, TernaryReading } from './checkpoint/checkpoint.js';
export {
  parameters, type AttentionSpec, type BitLinearSpec, type BlockSpec, type Blueprint, type GLUSpec, type MLGRUSpec, type NormSpec, type Parameter, type PartSpecs, type Switch, type TensorSpec,
} from './architectures/blueprint.js';

// Files.
export { checkConversion, type CheckOptions, type ConversionCheck } from './convert/check.js';
export { convert, CONVERT_TYPES, type ConvertOptions, type ConvertType } from './convert/convert.js';
export { convertToSafetensors, type ConvertToSafetensorsOptions, type FilePart } from './convert/packed-safetensors.js';
export { countWeights, type CountWeightsOptions, type WeightCounts } from './convert/count-weights.js';
export { inspect, type FileInfo, type MetadataInfo, type TensorInfo } from './convert/inspect.js';
export { measureLayers, prune, pruneToSafetensors } from './prune/prune.js';
export { planPruning, type PruneKind, type PrunePlan } from './prune/plan.js';
export type { CalibrationText, LayerSimilarities, LayerSimilarity, MeasuredModel, MeasureLayersOptions } from './prune/similarity.js';
export type { GgufFile, GgufTensor } from './formats/gguf-reader.js';
export { writeGguf, type GgufTensorToWrite } from './formats/gguf-writer.js';
export type { GgufMetadata, GgufTensorType, GgufValue } from './formats/gguf.js';
export {
  decodeFloats, decodeTernaryRow, encodeTernaryRow, readGguf, readSafetensorsHeader, readTensor, readTorchTensors, sourceFromContent,
} from './formats/readers.js';
export type { SafetensorsEntry } from './formats/safetensors.js';
export type { StoredTensor, TensorEntry } from './formats/stored-tensor.js';
export { textDecoderFor, type ByteSource } from './formats/bytes.js';
export type { FloatType } from './formats/floats.js';
export type { TernaryBlockType } from './formats/ternary-blocks.js';
export { quantizeTernary } from './checkpoint/quantize.js';
export { cumulativeLowerBounds } from './model/lower-bounds.js';
