import type {
  GenerateResult, GenerateTokensOptions, InWorkerSession, MatMulFreeWorker, TokenPiece, WorkerSession, WorkerSessionMark,
} from 'matmulfree/worker';
import type { Meter } from './meter.js';
import type { Pen } from './pen.js';
import type { TokenTime } from './times.js';

/** A token that the model wrote. */
export type Token = TokenPiece & TokenTime;

export type WriteOptions = Omit<InWorkerSession<GenerateTokensOptions>, 'signal' | 'topLogprobs'>;

/** Most probable tokens that are asked for at each place. */
const ALTERNATIVES = 5;
const WARM_UP = 16;

/**
 * A story on its way: what was given, what the model wrote, and the model's memory of it. The page uses no other part of the model, so
 * this is the place to see how `matmulfree/worker` is used. A session takes a few kilobytes, so a story may be forked at any token.
 */
export class Strand {
  /** What the model wrote. */
  readonly tokens: Token[];
  /** Tokens of the beginning that it was given. */
  readonly promptTokens: number;
  private readonly lm: MatMulFreeWorker;
  private readonly beginning: string;
  private session: WorkerSession;
  private readonly marks: { readonly at: number; readonly mark: WorkerSessionMark }[];
  private isAtEnd = false;

  private constructor(lm: MatMulFreeWorker, beginning: string, session: WorkerSession, promptTokens: number, tokens: Token[], marks: Strand['marks']) {
    this.lm = lm;
    this.beginning = beginning;
    this.session = session;
    this.promptTokens = promptTokens;
    this.tokens = tokens;
    this.marks = marks;
  }

  /** @param beginning '' to start from nothing. */
  static async begin(lm: MatMulFreeWorker, beginning: string, signal?: AbortSignal): Promise<Strand> {
    const session = await lm.session();
    const { bosTokenId } = lm.config;
    await session.append(beginning === '' && bosTokenId !== undefined ? [bosTokenId] : beginning, { signal });
    return new Strand(lm, beginning, session, await session.tokens(), [], [{ at: 0, mark: await session.mark() }]);
  }

  /** The same story with the same model, loaded once more: what was written is read again, and comes to the same bits. */
  async moveTo(lm: MatMulFreeWorker): Promise<Strand> {
    const moved = await Strand.begin(lm, this.beginning);
    await moved.session.append(this.tokens.map(({ id }) => id));
    moved.tokens.push(...this.tokens);
    moved.isAtEnd = this.isAtEnd;
    return moved;
  }

  /**
   * Goes on. The model runs a little ahead of the pen; when it is stopped, what is on the page is the story, and nothing else.
   * @returns why it ended, and the model's own timings; undefined if it was stopped.
   */
  async write(options: WriteOptions, pen: Pen, meter: Meter, signal: AbortSignal): Promise<GenerateResult | undefined> {
    // A story that has ended, and is to go on all the same, may not end again at once, nor begin anew.
    const { bosTokenId, eosTokenIds } = this.lm.config;
    const bannedTokens = this.isAtEnd ? [...eosTokenIds, ...(bosTokenId === undefined ? [] : [bosTokenId])] : [];
    const pieces = this.session.generateTokens({ ...options, bannedTokens, topLogprobs: ALTERNATIVES, signal });
    let result: GenerateResult | undefined;
    try {
      result = await this.follow(pieces, pen, meter);
      signal.throwIfAborted();
    } catch (error) {
      if (!signal.aborted) throw error;
      result = undefined;
      this.session = await this.sessionAt(this.tokens.length);
    } finally {
      pen.close();
    }
    this.isAtEnd = result?.finishReason === 'eos';
    const at = this.tokens.length;
    if (this.marks.at(-1)!.at < at) this.marks.push({ at, mark: await this.session.mark() });
    return result;
  }

  private async follow(pieces: AsyncGenerator<TokenPiece, GenerateResult>, pen: Pen, meter: Meter): Promise<GenerateResult> {
    for (let taken = 0; ; taken++) {
      const { done, value } = await meter.time(() => pieces.next());
      if (done) {
        await pen.finish();
        return value;
      }
      await pen.push({ ...value, ms: meter.take(), isWarmUp: taken < WARM_UP });
    }
  }

  /** The model has ended it. */
  get hasEnded(): boolean {
    return this.isAtEnd;
  }

  /** Where to fork a story that has ended: at the sentence that begins nearest to its middle. */
  get middle(): number {
    const half = this.tokens.length / 2;
    const before = (n: number): string => this.tokens.slice(Math.max(0, n - 3), n).map(({ text }) => text).join('');
    const begins = this.tokens.flatMap(({ text }, n) => (/^\s/.test(text) && /[.!?…]["”’']?\s*$/.test(before(n)) ? [n] : []));
    const [nearest] = begins.sort((a, b) => Math.abs(a - half) - Math.abs(b - half));
    return nearest !== undefined && Math.abs(nearest - half) < half / 2 ? nearest : Math.floor(half);
  }

  /** Another story, the same up to a token. */
  async fork(at = this.tokens.length): Promise<Strand> {
    const marks = this.marks.filter((mark) => mark.at <= at);
    const copy = new Strand(this.lm, this.beginning, await this.sessionAt(at), this.promptTokens, this.tokens.slice(0, at), marks);
    copy.isAtEnd = this.isAtEnd && at === this.tokens.length;
    return copy;
  }

  /** From the nearest mark before; the tokens from there on are read again, which is quicker than writing them, and comes to the same bits. */
  private async sessionAt(at: number): Promise<WorkerSession> {
    const { mark, at: from } = this.marks.filter((each) => each.at <= at).at(-1)!;
    const session = await this.session.fork();
    await session.rewind(mark);
    await session.append(this.tokens.slice(from, at).map(({ id }) => id));
    return session;
  }
}
