import { ArgumentError, show } from '../errors.js';
import { IDS, TEXT, TOKENS, type Start } from './generate.js';
import { emptyPrompt, type GenerateIdsOptions, type GenerateOptions, type GenerateResult, type GenerateTokensOptions } from './options.js';
import type { PrefixCache, PrefixPlace } from './prefix-cache.js';
import { checkPrefixCache } from './prefix-option.js';
import { encodeSession, SESSION_MEMORY, type SessionContent } from './session-bytes.js';
import type { TokenPiece } from './text-pieces.js';
import type { TextWriter } from './text-writer.js';
import { checkTextOrIds, givenOptions } from '../options.js';
import { Pace } from '../platform/pace.js';

export interface AppendOptions {
  /** Read the beginning of the text from here, if the session is empty (`lm.createPrefixCache`). */
  readonly prefixCache?: PrefixCache | undefined;
  /** Called with how many of the tokens have been read. */
  readonly onProgress?: ((tokens: number, total: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Options of a session's generators: those of the model's, but for `state` and `prefixCache`. */
export type InSession<Options extends GenerateIdsOptions> = Omit<Options, 'state' | 'prefixCache'>;

/** A place in a session's text to come back to. Holds a state: a few kilobytes, and keys and values of a model with attention, which it shares. */
export class SessionMark {
  /** @internal */
  readonly content: SessionContent;
  /** Of the text up to here. */
  readonly tokens: number;
  /** @internal */
  isDisposed = false;

  /** @internal */
  constructor(content: SessionContent) {
    this.content = content;
    this.tokens = content.state.tokens + content.unread.length;
  }

  /** Lets go of keys and values now, and not only when it is garbage-collected. No session can go back to it then. */
  dispose(): void {
    this.isDisposed = true;
    this.content.state.release();
  }
}

/**
 * One text that grows: what is appended, and what the model continues it with. It takes the same few kilobytes however long the text
 * is, so it can be forked, marked, taken back and saved at any time.
 */
export class Session {
  private readonly host: TextWriter;
  private content: SessionContent;

  /** @internal Use `lm.session()` or `lm.openSession(bytes)`. */
  constructor(host: TextWriter, content: SessionContent) {
    this.host = host;
    this.content = content;
  }

  /** Length of the text. */
  get tokens(): number {
    return this.content.state.tokens + this.content.unread.length;
  }

  /**
   * Adds text or ids to the text, and reads it. Text at the beginning gets the tokenizer's special tokens (BOS); later text goes on
   * exactly where the text before it ended, so it needs its own space in front.
   * @throws ArgumentError (an id out of range, a session at work), TokenizerError, the signal's reason; the session is as before then.
   */
  async append(textOrIds: string | ArrayLike<number>, options: AppendOptions = {}): Promise<void> {
    const what = 'session.append';
    const { prefixCache, onProgress, signal } = givenOptions(what, options, ['prefixCache', 'onProgress', 'signal']);
    const { model } = this.host;
    const pace = new Pace(signal);
    const { content } = this;
    checkPrefixCache(prefixCache, this.tokens === 0 ? content.state : model.createState());
    checkTextOrIds(`${what}: the text`, textOrIds);
    const given = typeof textOrIds === 'string' ? this.host.encode(textOrIds, this.tokens === 0) : textOrIds;
    signal?.throwIfAborted();
    if (given.length === 0) return;
    model.check(given, content.state, what);
    const ids = Array.from(given);
    this.checkIdle();
    content.state.hold(what, content);
    let unused = content.state.clone(); // which of the two states is let go of
    try {
      const state = unused;
      const all = [...content.unread, ...ids];
      const { maxTokens } = model.parts.workspace;
      let place: PrefixPlace | undefined = this.tokens === 0 ? prefixCache?.restore(all, state) : undefined;
      for (let done = place?.length ?? 0; done < all.length - 1; ) {
        await pace.giveWay();
        const count = Math.min(maxTokens, all.length - 1 - done);
        model.advance(all.slice(done, done + count), state, what);
        done += count;
        if (place && count === maxTokens) place = prefixCache!.store(all, place, state);
        onProgress?.(done, all.length - 1);
      }
      unused = content.state;
      this.content = { state, unread: all.slice(-1), memory: [...content.memory, ...ids.slice(-SESSION_MEMORY)].slice(-SESSION_MEMORY) };
    } finally {
      content.state.letGo();
      unused.release();
    }
  }

  /**
   * Goes on from the text, as `lm.generate` does; what is given out is part of the text then. So are a stop string that was found, and tokens
   * whose text is held back when the consumer leaves (it may begin a stop string, or ends within a character); an end-of-text token is not.
   * @throws ArgumentError (an option, an empty session, one at work), the signal's reason.
   */
  generate(options: InSession<GenerateOptions> = {}): AsyncGenerator<string, GenerateResult, undefined> {
    return this.host.write(TEXT, 'session.generate', options, this.start);
  }

  /** As `generate`, ids coming out: needs no tokenizer. */
  generateIds(options: InSession<GenerateIdsOptions> = {}): AsyncGenerator<number, GenerateResult, undefined> {
    return this.host.write(IDS, 'session.generateIds', options, this.start);
  }

  /** As `generate`, with each token's id, text and log-probability. */
  generateTokens(options: InSession<GenerateTokensOptions> = {}): AsyncGenerator<TokenPiece, GenerateResult, undefined> {
    return this.host.write(TOKENS, 'session.generateTokens', options, this.start);
  }

  /** An independent session with the same text so far. @throws ArgumentError for a session at work. */
  fork(): Session {
    return new Session(this.host, this.copy());
  }

  /** Remembers this place in the text. @throws ArgumentError for a session at work. */
  mark(): SessionMark {
    return new SessionMark(this.copy());
  }

  /** Takes the text back to a mark, of this session or of another one of the same model. @throws ArgumentError for anything else. */
  rewind(mark: SessionMark): void {
    this.checkIdle();
    if (!(mark instanceof SessionMark) || mark.isDisposed) throw new ArgumentError(`rewind: got ${show(mark)}, not what session.mark() gave, or it has been disposed of`);
    const { state } = this.content;
    state.copyFrom(mark.content.state);
    this.content = { ...mark.content, state };
  }

  /**
   * Lets go of its memory now, and not only when it is garbage-collected: keys and values, of a model with attention. It is empty then.
   * @throws ArgumentError for a session at work.
   */
  dispose(): void {
    this.checkIdle();
    this.content.state.dispose();
    this.content = { state: this.content.state, unread: [], memory: [] };
  }

  /** The session as bytes: `lm.openSession` goes on from them, in another process too. @throws ArgumentError for a session at work. */
  save(): Uint8Array {
    this.checkIdle();
    return encodeSession(this.content);
  }

  private copy(): SessionContent {
    this.checkIdle();
    return { ...this.content, state: this.content.state.clone() };
  }

  private readonly start: Start = (what, { state: otherState, prefixCache }) => {
    if (otherState !== undefined || prefixCache !== undefined) {
      throw new ArgumentError(`${what}: a session has its own state; the options state and prefixCache are not for it`);
    }
    if (this.tokens === 0) throw emptyPrompt(what);
    this.checkIdle();
    const { state, unread, memory } = this.content;
    let ids = [...memory];
    return {
      what,
      state,
      unread,
      text: memory,
      keepLast: true,
      onId: (id) => {
        ids.push(id);
        if (ids.length > 2 * SESSION_MEMORY) ids = ids.slice(-SESSION_MEMORY);
      },
      onClose: (left) => {
        this.content = { state, unread: left, memory: ids.slice(-SESSION_MEMORY) };
      },
    };
  };

  private checkIdle(): void {
    if (this.content.state.isHeld) throw new ArgumentError('session: is at work; wait until that is over, or fork it before');
  }
}
