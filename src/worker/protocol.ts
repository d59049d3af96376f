import { ChatTemplateError } from '../chat/error.js';
import * as errors from '../errors.js';
import type { BatchOptions, BatchPrompt, BatchResult } from '../generate/batch.js';
import type { AnswerPiece } from '../generate/answer-stream.js';
import type { BeamIds, BeamSearchOptions } from '../generate/beam-search.js';
import type { ApplyChatTemplateOptions } from '../chat/apply.js';
import type { ChatMessage } from '../chat/messages.js';
import type { ChatOptions, ChatResult, SayOptions } from '../generate/conversation.js';
import type { CompleteOptions, Completion } from '../generate/complete.js';
import type { AppendOptions } from '../generate/session.js';
import type { GenerateIdsOptions, GenerateOptions, GenerateResult, GenerateTokensOptions } from '../generate/options.js';
import type { Prompt } from '../generate/prompt.js';
import type { Choice, ChooseOptions } from '../scoring/choose.js';
import type { EmbedOptions } from '../scoring/embed.js';
import type { Perplexity, PerplexityOptions, PerplexityProgress } from '../scoring/perplexity.js';
import type { Score, ScoreOptions } from '../scoring/score.js';
import type { TokenPiece } from '../generate/text-pieces.js';
import type { ForwardOptions, LoadOptions, MatMulFreeLM } from '../lm.js';
import type { ModelInfo } from '../model/describe.js';
import type { Progress } from '../model/load-model.js';
import type { ModelSource } from '../sources/source.js';
import type { DecodeOptions, EncodeOptions } from '../tokenizer/tokenizer.js';

/*
 * What a page and its worker say to each other. A call has a number. Its worker answers with items (progress, or what a stream
 * yields) and then with a result or an error, once. The page may stop a call, and grants a stream the items that it may send ahead.
 *
 * A new method takes three things: its line in `Methods`, what it does in the worker (methods.ts), and what calls it (worker-lm.ts,
 * worker-state.ts, worker-session.ts, worker-chat.ts, worker-pieces.ts). What MatMulFreeLM has and a worker has not is told by the comment of
 * MatMulFreeWorker, and by README.
 */

/** Arguments, what comes at the end, and what may come before it. */
interface Method<Args extends readonly unknown[], Result, Item = never> {
  readonly args: Args;
  readonly result: Result;
  readonly item: Item;
}

/** A model's state, a session, a mark, a conversation: what stays in the worker has a number there. */
export type Handle = number;

type Ids = ArrayLike<number>;
/** Options that cannot be sent: signals become stops, callbacks items, states handles; functions and other models stay behind. */
export type NotSent = 'signal' | 'onProgress' | 'onPiece' | 'state' | 'out' | 'prefixCache' | 'draftModel' | 'logitsProcessor';
type Sent<Options> = Omit<Options, NotSent>;

/** What is said in a conversation. */
export type Said = string | ChatMessage | readonly ChatMessage[];

/** A piece of one text of a batch. */
export interface BatchPiece {
  readonly text: string;
  readonly index: number;
}

/** The worker has read what there was of a text: `perplexityPiece` gives this reader more. */
export interface Wanted {
  readonly reader: Handle;
}

export interface Methods {
  /** Tells that the worker is there. */
  hello: Method<[], 'matmulfree'>;
  load: Method<[source: ModelSource, options: Sent<LoadOptions>], Loaded, Progress>;
  generate: Method<[prompt: Prompt, options: Sent<GenerateOptions>, state: Handle | undefined], GenerateResult, string>;
  generateIds: Method<[prompt: Ids, options: Sent<GenerateIdsOptions>, state: Handle | undefined], GenerateResult, number>;
  generateTokens: Method<[prompt: Prompt, options: Sent<GenerateTokensOptions>, state: Handle | undefined], GenerateResult, TokenPiece>;
  complete: Method<[prompt: Prompt, options: Sent<CompleteOptions>, state: Handle | undefined], Completion>;
  generateBatch: Method<[prompts: readonly BatchPrompt[], options: Sent<BatchOptions>], BatchResult[], BatchPiece>;
  beamSearch: Method<[prompt: Prompt, options: Sent<BeamSearchOptions>], (BeamIds & { readonly text: string })[]>;
  forward: Method<[ids: number | Ids, state: Handle, options: Sent<ForwardOptions>], Float32Array>;
  score: Method<[textOrIds: string | Ids, options: Sent<ScoreOptions>], Score, number>;
  scoreBatch: Method<[texts: readonly (string | Ids)[], options: Sent<ScoreOptions>], Score[], number>;
  choose: Method<[prompt: string, choices: readonly string[], options: Sent<ChooseOptions>], Choice, readonly [done: number, total: number]>;
  embed: Method<[textOrIds: string | Ids, options: Sent<EmbedOptions>], Float32Array, number>;
  perplexity: Method<[text: string | Ids, options: Sent<PerplexityOptions>], Perplexity, PerplexityProgress>;
  perplexityOfPieces: Method<[options: Sent<PerplexityOptions>], Perplexity, PerplexityProgress | Wanted>;
  /** None: the text is over. */
  perplexityPiece: Method<[reader: Handle, pieces: readonly string[]], void>;
  info: Method<[], ModelInfo>;
  encode: Method<[text: string, options: EncodeOptions | undefined], number[]>;
  decode: Method<[ids: Ids, options: DecodeOptions | undefined], string>;
  count: Method<[text: string, options: EncodeOptions | undefined], number>;
  applyChatTemplate: Method<[messages: readonly ChatMessage[], options: ApplyChatTemplateOptions | undefined], string>;
  createState: Method<[], Handle>;
  restoreState: Method<[bytes: Uint8Array | ArrayBuffer], Handle>;
  cloneState: Method<[state: Handle], Handle>;
  copyState: Method<[from: Handle, to: Handle], void>;
  resetState: Method<[state: Handle], void>;
  stateTokens: Method<[state: Handle], number>;
  serializeState: Method<[state: Handle], Uint8Array>;
  freeState: Method<[state: Handle], void>;
  session: Method<[], Handle>;
  openSession: Method<[bytes: Uint8Array | ArrayBuffer], Handle>;
  sessionAppend: Method<[session: Handle, textOrIds: string | Ids, options: Sent<AppendOptions>], void, readonly [tokens: number, total: number]>;
  sessionGenerate: Method<[session: Handle, options: Sent<GenerateOptions>], GenerateResult, string>;
  sessionGenerateIds: Method<[session: Handle, options: Sent<GenerateIdsOptions>], GenerateResult, number>;
  sessionGenerateTokens: Method<[session: Handle, options: Sent<GenerateTokensOptions>], GenerateResult, TokenPiece>;
  sessionTokens: Method<[session: Handle], number>;
  forkSession: Method<[session: Handle], Handle>;
  markSession: Method<[session: Handle], { readonly mark: Handle; readonly tokens: number }>;
  rewindSession: Method<[session: Handle, mark: Handle], void>;
  saveSession: Method<[session: Handle], Uint8Array>;
  freeSession: Method<[session: Handle], void>;
  freeMark: Method<[mark: Handle], void>;
  chat: Method<[options: Sent<ChatOptions>], Handle>;
  openChat: Method<[bytes: Uint8Array | ArrayBuffer, options: Sent<ChatOptions>], Handle>;
  chatSay: Method<[chat: Handle, said: Said, options: Sent<SayOptions>], ChatResult, AnswerPiece>;
  chatMessages: Method<[chat: Handle], readonly ChatMessage[]>;
  chatTokens: Method<[chat: Handle], number>;
  chatFork: Method<[chat: Handle], Handle>;
  chatRewind: Method<[chat: Handle, turns: number], void>;
  chatSave: Method<[chat: Handle], Uint8Array>;
  freeChat: Method<[chat: Handle], void>;
}

export type MethodName = keyof Methods;
export type Args<M extends MethodName> = Methods[M]['args'];
export type Result<M extends MethodName> = Methods[M]['result'];
export type Item<M extends MethodName> = Methods[M]['item'];

/** What users call a method: that of a session, `session.append`; of a conversation, `chat.say`; of a text in pieces, `perplexity`. */
export function publicName(method: MethodName): string {
  return method.replace(/^perplexity.*/, 'perplexity').replace(/^(session|chat)([A-Z])/, (_, noun: string, letter: string) => `${noun}.${letter.toLowerCase()}`);
}

/** What a page knows of a model once it is loaded. */
export type Loaded = Pick<MatMulFreeLM, 'config' | 'backend' | 'threads' | 'hasTokenizer' | 'hasChatTemplate' | 'generationDefaults'>;

/** From the page. */
export type Request =
  /** `ahead`: how many items may be sent before more are granted. */
  | { readonly call: number; readonly method: MethodName; readonly args: readonly unknown[]; readonly ahead: number }
  | { readonly call: number; readonly more: number }
  | { readonly call: number; readonly stop: true };

/** From the worker. */
export type Reply =
  | { readonly call: number; readonly item: unknown }
  | { readonly call: number; readonly result: unknown }
  | { readonly call: number; readonly error: SentError };

/** One end of what connects a page and its worker. */
export interface Link {
  /** @throws DataCloneError for what cannot be sent. */
  post(message: Request | Reply, transfer: readonly ArrayBuffer[]): void;
}

/** An error on its way: sent as it is, it would lose its class. */
export interface SentError {
  readonly name: string;
  readonly message: string;
  readonly stack: string | undefined;
}

export function packError(error: unknown): SentError {
  if (!(error instanceof Error)) return { name: 'Error', message: String(error), stack: undefined };
  return { name: error.name, message: error.message, stack: error.stack };
}

/** The error again: of the library's family if it was of it, with the worker's stack. */
export function unpackError({ name, message, stack }: SentError): Error {
  const Class = ({ ...errors, ChatTemplateError } as Record<string, unknown>)[name];
  const isOurs = typeof Class === 'function' && Class.prototype instanceof Error;
  const error = isOurs ? new (Class as new (message: string) => Error)(message) : Object.assign(new Error(message), { name });
  if (stack !== undefined) error.stack = stack;
  return error;
}

/** Buffers that a value owns, itself or in its properties or entries, so that they are moved instead of copied. */
export function buffersOf(value: unknown): ArrayBuffer[] {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return [];
  const parts = isBuffer(value) ? [value] : value instanceof Map ? [...value.values()] : Object.values(value);
  const buffers = parts.map((part: unknown) => (ArrayBuffer.isView(part) ? part.buffer : part));
  return [...new Set(buffers.filter((buffer): buffer is ArrayBuffer => buffer instanceof ArrayBuffer))];
}

/** A copy of what is a view on a larger buffer, which would take all of it along; in a model's files by name, too. */
export function whole<T>(value: T): T {
  if (value instanceof Map) return new Map([...value].map(([name, part]) => [name, wholeView(part)])) as T;
  if (typeof value !== 'object' || value === null || Symbol.iterator in value || isSentAsIs(value)) return wholeView(value);
  return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, wholeView(part)])) as T;
}

function wholeView<T>(value: T): T {
  return ArrayBuffer.isView(value) && value.byteLength < value.buffer.byteLength ? ((value as unknown as Uint8Array).slice() as T) : value;
}

/** The content of a file. */
export function isSentAsIs(value: object): boolean {
  return isBuffer(value) || value instanceof Blob;
}

function isBuffer(value: object): boolean {
  return ArrayBuffer.isView(value) || value instanceof ArrayBuffer;
}
