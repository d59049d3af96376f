/** `matmulfree/worker`: the library in a worker of its own, for pages that stay responsive. */
export type * from '../platform/globals.js';
export { MatMulFreeWorker, WorkerTokenizer, type WorkerForwardOptions, type WorkerLoadOptions } from './worker-lm.js';
export type {
  InWorkerSession, WorkerAppendOptions, WorkerBatchOptions, WorkerBatchPrompt, WorkerChatOptions, WorkerCompleteOptions, WorkerGenerateIdsOptions, WorkerGenerateOptions,
  WorkerGenerateTokensOptions, WorkerSayOptions,
} from './worker-options.js';
export type { WorkerChat } from './worker-chat.js';
export { WorkerSession, WorkerSessionMark } from './worker-session.js';
export { WorkerState } from './worker-state.js';
// What the calls give back.
export type { AnswerPiece } from '../generate/answer-stream.js';
export type { ChatResult } from '../generate/conversation.js';
export type { Completion } from '../generate/complete.js';
export type { Prompt } from '../generate/prompt.js';
export type { ChatMessage } from '../chat/messages.js';
export type { ApplyChatTemplateOptions } from '../chat/apply.js';
export type { BatchResult } from '../generate/batch.js';
export type { FinishReason, GenerateIdsOptions, GenerateOptions, GenerateResult, GenerateTokensOptions } from '../generate/options.js';
export type { Choice, ChoiceScore, ChooseOptions } from '../scoring/choose.js';
export type { EmbedOptions } from '../scoring/embed.js';
export type { Perplexity, PerplexityInput, PerplexityOptions, PerplexityProgress } from '../scoring/perplexity.js';
export type { Score, ScoreOptions } from '../scoring/score.js';
export type { TokenPiece } from '../generate/text-pieces.js';
export type { ModelInfo } from '../model/describe.js';
export type { Progress } from '../model/load-model.js';
export type { ModelSource } from '../sources/source.js';
export {
  ArgumentError, BackendError, ConfigError, FormatError, MatMulFreeError, SourceError, TokenizerError,
} from '../errors.js';
