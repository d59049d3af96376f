import type { Constraint } from '../constrain/constraint.js';
import { checkText } from '../generate/batch.js';
import { BatchRun } from '../generate/batch-run.js';
import { BatchSequence, type Sequence, type SequenceResult } from '../generate/batch-sequence.js';
import { TEXT } from '../generate/generate.js';
import type { PrefixCache } from '../generate/prefix-cache.js';
import type { TokenPiece } from '../generate/text-pieces.js';
import { tokenOutput } from '../generate/token-pieces.js';
import type { MatMulFreeLM } from '../lm.js';
import { Pace } from '../platform/pace.js';
import { tooLong } from './errors.js';
import { Gate } from './gate.js';
import type { ServerSettings } from './options.js';
import type { Asked } from './sampling.js';

/** A text that a request wants. */
export interface Wanted {
  readonly ids: readonly number[];
  readonly options: Asked;
  readonly constraint?: Constraint | undefined;
  /** How many of the most probable tokens to tell; undefined: no log-probabilities at all. */
  readonly topLogprobs?: number | undefined;
}

/** A piece of a text; `token` where log-probabilities were asked for. */
export interface Piece {
  readonly text: string;
  readonly token?: TokenPiece;
}

export type OnPiece = (piece: Piece) => void;

interface AtWork {
  readonly signal: AbortSignal;
  readonly fail: (error: unknown) => void;
}

/** Keys and values lie in pages of so many positions. */
const PAGE = 64;

/** Writes the texts of all requests, side by side: what comes joins those at work at their next token. */
export class Engine {
  /** Which lets texts in, and inputs of embeddings. */
  readonly gate: Gate;
  /** Tokens of a text that there is memory and positions for. */
  readonly capacity: number;
  private readonly lm: MatMulFreeLM;
  private readonly maxTimeMs: number;
  private readonly run: BatchRun;
  private readonly atWork = new Map<Sequence, AtWork>();
  private readonly cacheBytes: number;
  private cache: Promise<PrefixCache | undefined> | undefined;
  private isRunning = false;

  constructor(lm: MatMulFreeLM, { batchSize, maxQueue, maxTimeMs, prefixCacheBytes }: ServerSettings) {
    const { contextTokens, maxPositions } = lm.info();
    this.lm = lm;
    this.maxTimeMs = maxTimeMs;
    this.cacheBytes = prefixCacheBytes;
    this.capacity = Math.min(contextTokens, maxPositions);
    this.gate = new Gate(batchSize, maxQueue, contextTokens);
    this.run = new BatchRun(lm.model, prefixCacheBytes > 0);
  }

  /** Tokens that are set aside for a text. */
  reserve(tokens: number): number {
    return Math.ceil(Math.min(tokens, this.capacity) / PAGE) * PAGE;
  }

  /** @throws ApiError when there is no room for a prompt with a token behind it, or no place for so many texts; ArgumentError for options. */
  check(texts: readonly Wanted[]): void {
    for (const { ids, options } of new Set(texts)) {
      if (ids.length >= this.capacity) throw tooLong(ids.length, this.capacity);
      checkText(this.lm.model, { ids, options, constraint: undefined }, 'the request');
    }
    this.gate.checkRoom(texts.length);
  }

  /** Writes a text, which has been checked. @throws the signal's reason; ArgumentError for what went wrong with this text. */
  async write({ ids, options, constraint, topLogprobs }: Wanted, onPiece: OnPiece, signal: AbortSignal): Promise<SequenceResult> {
    const since = performance.now();
    const leave = await this.gate.enter(this.reserve(ids.length + options.maxNewTokens), signal);
    try {
      const prefixCache = await (this.cache ??= this.createCache());
      signal.throwIfAborted();
      const maxTimeMs = Math.max(0, this.maxTimeMs - (performance.now() - since));
      const maxNewTokens = Math.min(options.maxNewTokens, this.capacity - ids.length);
      const text = { ids, options: { ...options, maxNewTokens, maxTimeMs }, constraint: constraint?.start(ids) };
      return await new Promise((resolve, reject) => {
        const use = { what: 'the request', prefixCache, onEnd: resolve };
        const { tokenizer, model } = this.lm;
        const sequence = topLogprobs === undefined
          ? new BatchSequence(model, text, { ...use, output: TEXT.output({ tokenizer }, options, ids), onItem: (piece) => onPiece({ text: piece }) })
          : new BatchSequence(model, text, { ...use, output: tokenOutput(tokenizer, { ...options, topLogprobs }, ids), onItem: (token) => onPiece({ text: token.text, token }) });
        this.atWork.set(sequence, { signal, fail: reject });
        this.run.add(sequence);
        if (!this.isRunning) void this.work();
      });
    } finally {
      leave();
    }
  }

  private async createCache(): Promise<PrefixCache | undefined> {
    return this.cacheBytes > 0 ? this.lm.createPrefixCache({ maxBytes: this.cacheBytes }) : undefined;
  }

  /** Goes on while there are texts. */
  private async work(): Promise<void> {
    this.isRunning = true;
    const pace = new Pace();
    while (this.settle() > 0) {
      await pace.giveWay();
      if (this.settle() === 0) break;
      try {
        this.run.pass();
      } catch (error) {
        this.drop(this.run.newest!, error); // nothing has changed: the others go on
      }
    }
    this.isRunning = false;
  }

  /** Lets those go that are over, and those that nobody waits for any more. @returns how many there are then. */
  private settle(): number {
    for (const [sequence, { signal }] of this.atWork) if (signal.aborted && !sequence.isOver) this.drop(sequence, signal.reason);
    for (const sequence of this.run.takeEnded()) {
      if (sequence.error !== undefined) this.atWork.get(sequence)?.fail(sequence.error);
      this.atWork.delete(sequence);
    }
    return this.run.size;
  }

  private drop(sequence: Sequence, error: unknown): void {
    this.run.remove(sequence);
    this.atWork.get(sequence)?.fail(error);
    this.atWork.delete(sequence);
  }
}
