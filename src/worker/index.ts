/** `matmulfree/worker`: the library in a worker of its own, for pages that stay responsive. */
export {
  MatMulFreeWorker, WorkerTokenizer, type WorkerBatchOptions, type WorkerForwardOptions, type WorkerGenerateIdsOptions,
  type WorkerGenerateOptions, type WorkerGenerateTokensOptions, type WorkerLoadOptions,
} from './worker-lm.js';
export { WorkerState } from './worker-state.js';
export {
  ArgumentError, BackendError, ConfigError, FormatError, MatMulFreeError, SourceError, TokenizerError,
} from '../errors.js';
