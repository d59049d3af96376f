import { notByNew } from '../errors.js';
import type { GenerateIdsOptions, GenerateOptions, GenerateResult, GenerateTokensOptions } from '../generate/options.js';
import type { TokenPiece } from '../generate/text-pieces.js';
import { given } from '../options.js';
import { publicName, whole, type Args, type Handle, type Item, type Result } from './protocol.js';
import { Registry } from './registry.js';
import { sendable, type InWorkerSession, type WorkerAppendOptions } from './worker-options.js';
import type { Caller } from './worker-state.js';

type StreamName = 'sessionGenerate' | 'sessionGenerateIds' | 'sessionGenerateTokens';

/** Begins a stream in the worker of one model, which makes an item when one is asked for, and none ahead. */
export type Streamer = <M extends StreamName | 'chatSay'>(method: M, args: Args<M>, signal: AbortSignal | undefined) => AsyncGenerator<Item<M>, Result<M>, undefined>;

/** A place in a session's text to come back to. */
export class WorkerSessionMark {
  /** Of the text up to here. */
  readonly tokens: number;
  private readonly free: () => void;

  /** Made by `session.mark()`. */
  constructor(tokens: number, free: () => void) {
    if (typeof free !== 'function') throw notByNew('WorkerSessionMark', 'await session.mark()');
    this.tokens = tokens;
    this.free = free;
  }

  /** Lets go of it. */
  dispose(): void {
    this.free();
  }
}

/**
 * A `Session` that lives in the worker: one text that grows, by what is appended and what the model continues it with. It holds what was
 * taken of its streams, and no more. The worker lets go of it when it is disposed of, or has been garbage-collected here.
 */
export class WorkerSession {
  private readonly sessions: WorkerSessions;
  private readonly handle: Handle;

  /** Made by `lm.session()`, `lm.openSession(bytes)` and `fork`. */
  constructor(sessions: WorkerSessions, handle: Handle) {
    if (!(sessions instanceof WorkerSessions)) throw notByNew('WorkerSession', 'await lm.session()');
    this.sessions = sessions;
    this.handle = handle;
  }

  /** Length of the text. */
  tokens(): Promise<number> {
    return this.sessions.call('sessionTokens', [this.handle]);
  }

  /** Adds text or ids to the text, and reads it; the session is as before when that fails or is aborted. */
  async append(textOrIds: string | ArrayLike<number>, options: WorkerAppendOptions = {}): Promise<void> {
    const { signal, onProgress, ...rest } = given('session.append', options);
    sendable('session.append', rest);
    return this.sessions.call('sessionAppend', [this.handle, whole(textOrIds), rest], { signal, onItem: onProgress && (([tokens, total]) => onProgress(tokens, total)) });
  }

  /** Goes on from the text, as `lm.generate` does; what is given out is part of the text then. */
  generate(options: InWorkerSession<GenerateOptions> = {}): AsyncGenerator<string, GenerateResult, undefined> {
    return this.stream('sessionGenerate', options);
  }

  /** As `generate`, ids coming out: needs no tokenizer. */
  generateIds(options: InWorkerSession<GenerateIdsOptions> = {}): AsyncGenerator<number, GenerateResult, undefined> {
    return this.stream('sessionGenerateIds', options);
  }

  /** As `generate`, with each token's id, text and log-probability. */
  generateTokens(options: InWorkerSession<GenerateTokensOptions> = {}): AsyncGenerator<TokenPiece, GenerateResult, undefined> {
    return this.stream('sessionGenerateTokens', options);
  }

  /** An independent session with the same text so far. */
  async fork(): Promise<WorkerSession> {
    return this.sessions.adopt(await this.sessions.call('forkSession', [this.handle]));
  }

  /** Remembers this place in the text. */
  async mark(): Promise<WorkerSessionMark> {
    const { mark, tokens } = await this.sessions.call('markSession', [this.handle]);
    return this.sessions.adoptMark(mark, tokens);
  }

  /** Takes the text back to a mark, of this session or of another one of the same model. */
  async rewind(mark: WorkerSessionMark): Promise<void> {
    return this.sessions.call('rewindSession', [this.handle, this.sessions.handleOfMark(mark)]);
  }

  /** The session as bytes: `lm.openSession` goes on from them, here and without a worker. */
  save(): Promise<Uint8Array> {
    return this.sessions.call('saveSession', [this.handle]);
  }

  /** Lets go of it. Every later use of it rejects with ArgumentError. */
  dispose(): void {
    this.sessions.free(this.handle);
  }

  private async *stream<M extends StreamName>(method: M, options: InWorkerSession<GenerateIdsOptions>): AsyncGenerator<Item<M>, Result<M>, undefined> {
    const { signal, ...rest } = sendable(publicName(method), options);
    return yield* this.sessions.stream(method, [this.handle, rest] as unknown as Args<M>, signal);
  }
}

/** The sessions of one model, and the marks in them. */
export class WorkerSessions {
  readonly call: Caller;
  readonly stream: Streamer;
  private readonly sessions: Registry<WorkerSession>;
  private readonly marks: Registry<WorkerSessionMark>;

  constructor(call: Caller, stream: Streamer) {
    this.call = call;
    this.stream = stream;
    this.sessions = new Registry('session', 'this model has made', (handle) => call('freeSession', [handle]));
    this.marks = new Registry('mark', 'a session of this model has made', (handle) => call('freeMark', [handle]));
  }

  adopt(handle: Handle): WorkerSession {
    return this.sessions.adopt(new WorkerSession(this, handle), handle);
  }

  adoptMark(handle: Handle, tokens: number): WorkerSessionMark {
    return this.marks.adopt(new WorkerSessionMark(tokens, () => this.marks.free(handle)), handle);
  }

  /** @throws ArgumentError when no session of this model has made it. */
  handleOfMark(mark: WorkerSessionMark): Handle {
    return this.marks.handleOf('rewind', mark);
  }

  free(handle: Handle): void {
    this.sessions.free(handle);
  }
}
