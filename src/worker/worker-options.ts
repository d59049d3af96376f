import { ArgumentError } from '../errors.js';
import type { ChatOptions, SayOptions } from '../generate/conversation.js';
import type { BatchOptions, BatchPrompt } from '../generate/batch.js';
import type { CompleteOptions } from '../generate/complete.js';
import type { GenerateIdsOptions, GenerateOptions, GenerateTokensOptions } from '../generate/options.js';
import type { Prompt } from '../generate/prompt.js';
import type { AppendOptions, InSession } from '../generate/session.js';
import { given } from '../options.js';
import type { NotSent } from './protocol.js';
import type { WorkerState } from './worker-state.js';

/** What can be given in another form only. */
interface Instead {
  /** `{ choices }`, `{ regex }` or `{ jsonSchema }`: compiled in the worker. */
  readonly constraint?: Exclude<NonNullable<GenerateIdsOptions['constraint']>, { start: unknown }>;
  readonly speculate?: boolean;
}
type Sendable<Options extends GenerateIdsOptions> = Omit<Options, Exclude<NotSent, 'signal' | 'onPiece'> | keyof Instead> & Instead;

/** As in-process, with a state that lives in the worker, and without what cannot be sent there: functions, other models. */
type InWorker<Options extends GenerateIdsOptions> = Sendable<Options> & { readonly state?: WorkerState };
export type WorkerGenerateOptions = InWorker<GenerateOptions>;
export type WorkerCompleteOptions = InWorker<CompleteOptions>;
export type WorkerGenerateIdsOptions = InWorker<GenerateIdsOptions>;
export type WorkerGenerateTokensOptions = InWorker<GenerateTokensOptions>;
/** Options of a session's generators: those of the model's, but for `state`. */
export type InWorkerSession<Options extends GenerateIdsOptions> = Omit<InSession<Sendable<Options>>, 'state'>;
/** Options of a conversation and its answers: those of the model's, but for `onProgress`. */
export type WorkerSayOptions = Omit<Sendable<SayOptions>, 'onProgress'>;
export type WorkerChatOptions = WorkerSayOptions & Pick<ChatOptions, 'system' | 'messages'>;
export type WorkerAppendOptions = Omit<AppendOptions, 'prefixCache'>;
export type WorkerBatchOptions = Sendable<BatchOptions>;
export type WorkerBatchPrompt = Exclude<BatchPrompt, { prompt: unknown }> | ({ readonly prompt: Prompt } & Sendable<BatchOptions>);

/** Live in one place. */
const STAY: Record<string, string> = {
  draftModel: 'is another model', prefixCache: 'belongs to a model that is not in the worker', families: 'has functions', out: 'is memory of the page',
};

/**
 * What is given of `options`, which the worker checks.
 * @throws ArgumentError saying which option cannot be sent, in words of the library: the platform knows no names.
 */
export function sendable<Options extends object>(what: string, options: Options): Options {
  const found = given(what, options);
  for (const [key, value] of Object.entries(found)) {
    const complaint = typeof value === 'function' ? 'is a function' : STAY[key];
    if (complaint !== undefined) refuse(what, key, `${complaint}; where it is needed, use MatMulFreeLM in a worker of your own`);
    if (key === 'constraint' && typeof (value as { start?: unknown }).start === 'function') {
      refuse(what, key, 'is compiled; give { choices }, { regex } or { jsonSchema }, which the worker compiles');
    }
  }
  return found;
}

function refuse(what: string, option: string, complaint: string): never {
  throw new ArgumentError(`${what}: an argument cannot be sent to the worker: the option ${option} ${complaint}`);
}
