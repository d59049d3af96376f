import type { ApplyChatTemplateOptions } from '../chat/apply.js';
import type { ChatMessage } from '../chat/messages.js';
import { disposed, missingPart, notByNew } from '../errors.js';
import type { BatchPrompt, BatchResult } from '../generate/batch.js';
import type { BeamIds, BeamSearchOptions } from '../generate/beam-search.js';
import type { Completion } from '../generate/complete.js';
import type { GenerationDefaults } from '../sampling/generation-config.js';
import type { GenerateResult } from '../generate/options.js';
import type { Prompt } from '../generate/prompt.js';
import type { Choice, ChooseOptions } from '../scoring/choose.js';
import type { EmbedOptions } from '../scoring/embed.js';
import type { Perplexity, PerplexityInput, PerplexityOptions } from '../scoring/perplexity.js';
import type { Score, ScoreOptions } from '../scoring/score.js';
import type { TokenPiece } from '../generate/text-pieces.js';
import type { BackendName } from '../kernels/kernels.js';
import type { LoadOptions } from '../lm.js';
import type { ModelConfig } from '../architectures/config.js';
import type { ModelInfo } from '../model/describe.js';
import { checkBoolean, given } from '../options.js';
import type { ModelSource } from '../sources/source.js';
import type { DecodeOptions, EncodeOptions } from '../tokenizer/tokenizer.js';
import { connect, type Connection } from './connect.js';
import { buffersOf, isSentAsIs, whole, type Args, type Item, type Loaded, type Result } from './protocol.js';
import {
  sendable, type WorkerBatchOptions, type WorkerBatchPrompt, type WorkerChatOptions, type WorkerCompleteOptions, type WorkerGenerateIdsOptions, type WorkerGenerateOptions,
  type WorkerGenerateTokensOptions,
} from './worker-options.js';
import type { WorkerChat, WorkerChats } from './worker-chat.js';
import { WorkerSessions, type Streamer, type WorkerSession } from './worker-session.js';
import { WorkerStates, type Caller, type WorkerState } from './worker-state.js';

export interface WorkerLoadOptions extends Omit<LoadOptions, 'families'> {
  /**
   * A worker that runs `matmulfree/worker/program` and nothing else; it is ended with the model. Default: one that is started here.
   * For bundlers that leave `new Worker(new URL(…, import.meta.url))` as it is.
   */
  readonly worker?: Worker | undefined;
  /** Move the bytes of a source in memory to the worker instead of copying them: the arrays are empty afterwards. */
  readonly transfer?: boolean | undefined;
}

export interface WorkerForwardOptions {
  /** Logits of all positions, [ids.length, vocab], instead of the last one's. */
  readonly all?: boolean | undefined;
}

/** Pieces that the worker may write before the page takes them: it need not wait for a page that paints. */
const PIECES_AHEAD = 32;

/**
 * A MatMul-free language model in a worker: what `MatMulFreeLM` does, as promises and streams, so that a page never waits for it.
 * Whatever `MatMulFreeLM` throws, its methods reject with; and with BackendError when the worker has died.
 *
 * A worker has no `lm.model`, `lm.createPrefixCache`, `lm.scoreAsync` (`lm.score` is it there), `state.layers`, `state.shape`, `state.byteLength`;
 * none of the options `prefixCache`, `draftModel`, `logitsProcessor`, `out`, `families`, `onProgress` of a conversation, a `speculate` that is a
 * function, a `constraint` that is compiled; of the tokenizer only `encode`, `decode`, `count`, `applyChatTemplate`; nothing that takes a model or
 * its tokenizer, such as `evaluate` and `compileRegex`; and `chat.messages`, `chat.tokens`, `session.tokens`, `state.tokens` are methods there.
 */
export class MatMulFreeWorker {
  readonly config: ModelConfig;
  readonly backend: BackendName;
  /** Threads that share the work, the worker's own included. */
  readonly threads: number;
  readonly hasTokenizer: boolean;
  readonly hasChatTemplate: boolean;
  /** Options of `generate` that the model's authors chose; those of a call go before them. */
  readonly generationDefaults: GenerationDefaults;
  readonly tokenizer: WorkerTokenizer;
  private readonly connection: Connection;
  private readonly states: WorkerStates;
  private readonly sessions: WorkerSessions;
  private readonly call: Caller;
  private readonly streamer: Streamer;
  private maybeChats: WorkerChats | undefined;

  private constructor(connection: Connection, loaded: Loaded) {
    if (typeof connection?.endWith !== 'function') throw notByNew('MatMulFreeWorker', 'await MatMulFreeWorker.load(…)');
    const { config, backend, threads, hasTokenizer, hasChatTemplate, generationDefaults } = loaded;
    this.connection = connection;
    this.config = config;
    this.backend = backend;
    this.threads = threads;
    this.hasTokenizer = hasTokenizer;
    this.hasChatTemplate = hasChatTemplate;
    this.generationDefaults = generationDefaults;
    this.call = (method, args, options) => connection.client.call(method, args, { ...options, keep: this });
    this.states = new WorkerStates(this.call);
    this.streamer = (method, args, signal) => connection.client.stream(method, args, { signal, ahead: 1, keep: this });
    this.sessions = new WorkerSessions(this.call, this.streamer);
    this.tokenizer = new WorkerTokenizer(this.call);
    connection.endWith(this);
  }

  /**
   * Starts a worker and loads a model in it, as `MatMulFreeLM.load` does. Files and Blobs are read there, and URLs fetched there, so
   * that weights never pass through the page.
   * @throws what `MatMulFreeLM.load` throws; BackendError when no worker can be started.
   */
  static async load(source: ModelSource, options: WorkerLoadOptions = {}): Promise<MatMulFreeWorker> {
    const { worker, transfer = false, signal, onProgress, ...rest } = given('load', options);
    checkBoolean('transfer', transfer);
    sendable('load', rest);
    const connection = await connect(worker, signal);
    try {
      const sent = whole(isSentAsIs(source as object) ? source : await (await import('./to-send.js').catch(missingPart)).toSend(source, { signal, onProgress }));
      const loaded = await connection.client.call('load', [sent as ModelSource, rest], {
        signal, onItem: onProgress, transfer: transfer ? buffersOf(sent) : [],
      });
      return new MatMulFreeWorker(connection, loaded);
    } catch (error) {
      connection.end(error as Error);
      throw error;
    }
  }

  /** The state before the first token. */
  async createState(): Promise<WorkerState> {
    return this.states.adopt(await this.call('createState', []));
  }

  /** Reads what `state.serialize()` wrote, here or without a worker. @throws ArgumentError when the bytes are damaged or another model's. */
  async restoreState(bytes: Uint8Array | ArrayBuffer): Promise<WorkerState> {
    return this.states.adopt(await this.call('restoreState', [whole(bytes)]));
  }

  /** Logits [vocab] of the last position, or [ids.length, vocab] with `all`; advances `state`. */
  async forward(ids: number | ArrayLike<number>, state: WorkerState, options: WorkerForwardOptions = {}): Promise<Float32Array> {
    return this.call('forward', [whole(ids), this.states.handleOf('forward', state), sendable('forward', options)]);
  }

  /**
   * Goes on from `prompt`, piece by piece, while the worker writes ahead of what was taken, by some pieces; where a `state` is given it
   * does not, so that the state holds what was taken. The generator's return value tells why it stopped.
   */
  generate(prompt: Prompt, options: WorkerGenerateOptions = {}): AsyncGenerator<string, GenerateResult, undefined> {
    return this.stream('generate', whole(prompt), options);
  }

  /** As `generate`, ids in and ids out: needs no tokenizer. */
  generateIds(prompt: ArrayLike<number>, options: WorkerGenerateIdsOptions = {}): AsyncGenerator<number, GenerateResult, undefined> {
    return this.stream('generateIds', whole(prompt), options);
  }

  /** As `generate`, with each token's id, text, log-probability, and the most probable tokens in its place. */
  generateTokens(prompt: Prompt, options: WorkerGenerateTokensOptions = {}): AsyncGenerator<TokenPiece, GenerateResult, undefined> {
    return this.stream('generateTokens', whole(prompt), options);
  }

  /** As `generate`, the whole text at once; after messages it is an answer, with the thought before it and calls of tools apart. */
  async complete(prompt: Prompt, options: WorkerCompleteOptions = {}): Promise<Completion> {
    const { state, signal, ...rest } = sendable('complete', options);
    return this.call('complete', [whole(prompt), rest, state && this.states.handleOf('complete', state)], { signal });
  }

  /** Continues several prompts at the same time, each to the text that it gives alone. */
  async generateBatch(prompts: readonly WorkerBatchPrompt[], options: WorkerBatchOptions = {}): Promise<BatchResult[]> {
    const { signal, onPiece, ...rest } = given('generateBatch', options);
    if (Array.isArray(prompts)) for (const prompt of prompts) if (isWithOptions(prompt)) sendable('generateBatch', prompt);
    return this.call('generateBatch', [prompts as readonly BatchPrompt[], sendable('generateBatch', rest)], { signal, onItem: onPiece && (({ text, index }) => onPiece(text, index)) });
  }

  /** The most probable texts that beam search finds after a prompt, the best first. */
  async beamSearch(prompt: Prompt, options: BeamSearchOptions = {}): Promise<(BeamIds & { readonly text: string })[]> {
    const { signal, ...rest } = sendable('beamSearch', options);
    return this.call('beamSearch', [whole(prompt), rest], { signal });
  }

  /** A text that grows by what you append and what the model writes; it can be forked, taken back and saved at any time. */
  async session(): Promise<WorkerSession> {
    return this.sessions.adopt(await this.call('session', []));
  }

  /**
   * Goes on from what `session.save()` wrote, here or without a worker.
   * @throws ArgumentError when the bytes are damaged or another model's.
   */
  async openSession(bytes: Uint8Array | ArrayBuffer): Promise<WorkerSession> {
    return this.sessions.adopt(await this.call('openSession', [whole(bytes)]));
  }

  /** A conversation, as the model's chat template has it. Options are those of all its answers. @throws ArgumentError for a model without one. */
  async chat(options: WorkerChatOptions = {}): Promise<WorkerChat> {
    const { signal, ...rest } = sendable('chat', options);
    return (await this.chats()).adopt(await this.call('chat', [rest]), signal);
  }

  /** Goes on from what `chat.save()` wrote, here or without a worker. @throws ArgumentError when the bytes are damaged or another model's. */
  async openChat(bytes: Uint8Array | ArrayBuffer, options: WorkerChatOptions = {}): Promise<WorkerChat> {
    const { signal, ...rest } = sendable('openChat', options);
    return (await this.chats()).adopt(await this.call('openChat', [whole(bytes), rest]), signal);
  }

  /** How probable a text is: each token is predicted from those before it; text gets its special tokens (BOS) first. */
  async score(textOrIds: string | ArrayLike<number>, options: ScoreOptions = {}): Promise<Score> {
    const { signal, onProgress, ...rest } = given('score', options);
    return this.call('score', [whole(textOrIds), rest], { signal, onItem: onProgress });
  }

  /** As `score`, for several texts side by side: each gets the score it gets alone, bit for bit, and short ones get it sooner. */
  async scoreBatch(texts: readonly (string | ArrayLike<number>)[], options: ScoreOptions = {}): Promise<Score[]> {
    const { signal, onProgress, ...rest } = given('scoreBatch', options);
    return this.call('scoreBatch', [Array.isArray(texts) ? texts.map(whole) : texts, rest], { signal, onItem: onProgress });
  }

  /** How probable each of `choices` is after `prompt`, in sum and per character. A space is put between, unless `delimiter` says otherwise. */
  async choose(prompt: string, choices: readonly string[], options: ChooseOptions = {}): Promise<Choice> {
    const { signal, onProgress, ...rest } = given('choose', options);
    return this.call('choose', [prompt, choices, rest], { signal, onItem: onProgress && (([done, total]) => onProgress(done, total)) });
  }

  /** A text as a vector [hidden]: the hidden states after the final norm, averaged over all tokens, or the last one. */
  async embed(textOrIds: string | ArrayLike<number>, options: EmbedOptions = {}): Promise<Float32Array> {
    const { signal, onProgress, ...rest } = given('embed', options);
    return this.call('embed', [whole(textOrIds), rest], { signal, onItem: onProgress });
  }

  /**
   * The perplexity of a text of any length, also per byte and word: with a state that runs on, or in windows (`context`, `stride`). A text
   * that comes in pieces is read as the worker asks for them, and is never in memory as a whole.
   */
  async perplexity(text: PerplexityInput, options: PerplexityOptions = {}): Promise<Perplexity> {
    const found = given('perplexity', options);
    if (inPieces(text)) return (await import('./worker-pieces.js').catch(missingPart)).perplexityOfPieces(this.call, text, found);
    const { signal, onProgress, ...rest } = found;
    return this.call('perplexity', [whole(text), rest], { signal, onItem: onProgress });
  }

  /** Counts, sizes and operations of the loaded model. */
  info(): Promise<ModelInfo> {
    return this.call('info', []);
  }

  /** Ends the worker, and with it the model and its states. Calls under way and every later one reject with ArgumentError. */
  dispose(): void {
    this.connection.end(disposed());
  }

  private async chats(): Promise<WorkerChats> {
    const { WorkerChats } = await import('./worker-chat.js').catch(missingPart);
    return (this.maybeChats ??= new WorkerChats(this.call, this.streamer));
  }

  private async *stream<M extends 'generate' | 'generateIds' | 'generateTokens'>(
    method: M, prompt: Args<M>[0], options: WorkerGenerateIdsOptions,
  ): AsyncGenerator<Item<M>, Result<M>, undefined> {
    const { state, signal, ...rest } = sendable(method, options);
    const args = [prompt, rest, state && this.states.handleOf(method, state)] as unknown as Args<M>;
    return yield* this.connection.client.stream(method, args, { signal, ahead: state ? 1 : PIECES_AHEAD, keep: this });
  }
}

/** The model's tokenizer. Its methods reject with TokenizerError when the model came without one. */
export class WorkerTokenizer {
  private readonly call: Caller;

  /** Made with its model. */
  constructor(call: Caller) {
    if (typeof call !== 'function') throw notByNew('WorkerTokenizer', 'MatMulFreeWorker');
    this.call = call;
  }

  /** The ids of a text. */
  encode(text: string, options?: EncodeOptions): Promise<number[]> {
    return this.call('encode', [text, options]);
  }

  /** The text of ids. */
  decode(ids: ArrayLike<number>, options?: DecodeOptions): Promise<string> {
    return this.call('decode', [whole(ids), options]);
  }

  /** How many tokens a text has. */
  count(text: string, options?: EncodeOptions): Promise<number> {
    return this.call('count', [text, options]);
  }

  /** The prompt that a conversation is, as the model's chat template has it. */
  applyChatTemplate(messages: readonly ChatMessage[], options?: ApplyChatTemplateOptions): Promise<string> {
    return this.call('applyChatTemplate', [messages, options]);
  }
}

function inPieces(text: PerplexityInput): text is AsyncIterable<string> {
  return typeof text === 'object' && text !== null && Symbol.asyncIterator in text;
}

function isWithOptions(prompt: WorkerBatchPrompt): boolean {
  return typeof prompt === 'object' && prompt !== null && 'prompt' in prompt;
}
