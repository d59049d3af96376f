import type { ConstraintState } from '../constrain/constraint.js';
import { ArgumentError, show } from '../errors.js';
import type { Model } from '../model/model.js';
import type { SequenceInput } from '../model/chunk.js';
import type { ModelState } from '../model/state.js';
import { checkKeys, checkNumber } from '../options.js';
import { Pace } from '../pace.js';
import type { Tokenizer } from '../tokenizer/tokenizer.js';
import { Continuation } from './continuation.js';
import {
  checkLimits, emptyPrompt, GENERATE_OPTIONS, stopStrings, type FinishReason, type GenerateOptions, type Limits,
} from './options.js';
import type { PrefixCache, PrefixPlace } from './prefix-cache.js';
import { TextPieces } from './text-pieces.js';

/** Options of one text of a batch: as `generate`, but it has a state of its own, and there are no guesses. */
export type BatchTextOptions = Omit<GenerateOptions, 'state' | 'speculate' | 'draftModel' | 'signal' | 'prefixCache'>;

/** A prompt, as text or ids, and options for it that go before those for all. */
export type BatchPrompt = string | ArrayLike<number> | ({ readonly prompt: string | ArrayLike<number> } & BatchTextOptions);

/** Options of `generateBatch`. `seed` is that of the first text, the second has `seed + 1`, and so on. */
export interface BatchOptions extends BatchTextOptions {
  /** Texts at work at the same time, 1 to 64; default 16. As one ends, the next begins. */
  readonly batchSize?: number;
  /** Called with each piece of text, as soon as it can be shown, and the index of its prompt. */
  readonly onPiece?: (text: string, index: number) => void;
  readonly prefixCache?: PrefixCache;
  /** Stops everything; the call rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

export interface BatchResult {
  /** '' for a model without a tokenizer. */
  readonly text: string;
  readonly ids: readonly number[];
  readonly finishReason: FinishReason;
  readonly stopString?: string;
  readonly promptTokens: number;
  /** Of these, how many came out of the prefix cache. */
  readonly cachedTokens: number;
  /** All that were chosen, those of a stop string too. */
  readonly newTokens: number;
  /** Alone, with this seed, the same prompt gives the same text. */
  readonly seed: number;
}

/** One text of a batch, checked. */
export interface BatchText {
  readonly ids: ArrayLike<number>;
  readonly options: BatchTextOptions;
  readonly constraint: ConstraintState | undefined;
}

const BATCH_OPTIONS = ['batchSize', 'onPiece', 'signal', 'prefixCache', 'prompt'];
const TEXT_OPTIONS = [...GENERATE_OPTIONS.filter((key) => !['state', 'speculate', 'draftModel'].includes(key)), 'stop', ...BATCH_OPTIONS];
const DEFAULT_BATCH_SIZE = 16;
const MAX_BATCH_SIZE = 64;

/** Prompt and options of each text. @throws ArgumentError for what is no prompt. */
export function batchTexts(prompts: readonly BatchPrompt[], options: BatchOptions): { prompt: string | ArrayLike<number>; options: BatchTextOptions }[] {
  if (!Array.isArray(prompts)) throw new ArgumentError(`generateBatch: the prompts are ${show(prompts)}, not a list`);
  const { seed } = options;
  return prompts.map((each: BatchPrompt, index) => {
    const hasOptions = typeof each === 'object' && each !== null && 'prompt' in each;
    const { prompt, ...own } = hasOptions ? each : { prompt: each };
    const isPrompt = typeof prompt === 'string' || (typeof prompt === 'object' && prompt !== null && typeof prompt.length === 'number');
    if (!isPrompt) throw new ArgumentError(`generateBatch: prompt ${index} is ${show(prompt)}, not a text or a list of ids`);
    return { prompt, options: { ...options, ...(seed === undefined ? {} : { seed: seed + index }), ...own } };
  });
}

/** One text while it is at work. */
class BatchSequence {
  readonly state: ModelState;
  readonly index: number;
  isOver = false;
  private readonly continuation: Continuation;
  private readonly limits: Limits;
  private readonly pieces: TextPieces | undefined;
  private readonly prompt: readonly number[];
  private readonly ids: number[] = [];
  private readonly onPiece: BatchOptions['onPiece'];
  private readonly prefixCache: PrefixCache | undefined;
  private readonly begun = performance.now();
  private readonly cachedTokens: number;
  private place: PrefixPlace | undefined;
  private read = 0; // ids of the prompt that have been read
  private text = '';

  constructor(model: Model, tokenizer: Tokenizer | undefined, index: number, { ids, options, constraint }: BatchText, batch: BatchOptions) {
    const { config } = model.parts;
    this.index = index;
    this.state = model.createState();
    this.prompt = Array.from(ids);
    this.limits = checkLimits('generateBatch', options, TEXT_OPTIONS, config);
    this.continuation = new Continuation(config, this.prompt, this.limits, options, constraint);
    this.pieces = tokenizer && new TextPieces(tokenizer, this.prompt, stopStrings(options.stop));
    this.onPiece = batch.onPiece;
    this.prefixCache = batch.prefixCache;
    this.place = this.prefixCache?.restore(this.prompt, this.state);
    this.read = this.cachedTokens = this.place?.length ?? 0;
    this.isOver = this.continuation.finishReason !== undefined;
  }

  /** What is to be read next: at most `maxTokens` ids. */
  input(maxTokens: number): SequenceInput {
    const left = this.prompt.length - this.read;
    if (left === 0) return { ids: this.ids.slice(-1), state: this.state, want: 'last' };
    const ids = this.prompt.slice(this.read, this.read + maxTokens);
    return { ids, state: this.state, want: ids.length === left ? 'last' : 'nothing' };
  }

  /** Takes note that the last input has been read. */
  haveRead({ ids, want }: SequenceInput): void {
    if (this.read === this.prompt.length) return;
    this.read += ids.length;
    if (this.place && want === 'nothing') this.place = this.prefixCache!.store(this.prompt, this.place, this.state);
  }

  /** Chooses the next token, from the logits after the last input. */
  choose(logits: Float32Array): void {
    const id = this.continuation.choose(logits);
    if (id !== undefined) {
      this.ids.push(id);
      if (this.pieces) this.show(this.pieces.show(this.pieces.decode(id)));
    }
    if (!this.continuation.finishReason && performance.now() - this.begun >= this.limits.maxTimeMs) this.continuation.finishReason = 'time';
    if (this.pieces?.stopString !== undefined || this.continuation.finishReason) this.finish();
  }

  private finish(): void {
    this.isOver = true;
    if (this.pieces) this.show(this.pieces.finish().shown);
  }

  private show(text: string): void {
    if (text === '') return;
    this.text += text;
    this.onPiece?.(text, this.index);
  }

  result(): BatchResult {
    const { text, ids, cachedTokens } = this;
    const { finishReason, seed } = this.continuation;
    const stopString = this.pieces?.stopString;
    return {
      text, ids, promptTokens: this.prompt.length, cachedTokens, newTokens: ids.length, seed,
      ...(stopString === undefined ? { finishReason: finishReason! } : { finishReason: 'stop', stopString }),
    };
  }
}

/**
 * Continues several texts at the same time: each step reads the weights once for all of them. Each text is the same, bit for bit, as alone.
 * @throws ArgumentError for an option or a prompt, before anything has run; the signal's reason.
 */
export async function generateBatch(
  model: Model, tokenizer: Tokenizer | undefined, texts: readonly BatchText[], options: BatchOptions,
): Promise<BatchResult[]> {
  checkKeys('generateBatch', options, TEXT_OPTIONS);
  const batchSize = checkNumber('batchSize', options.batchSize ?? DEFAULT_BATCH_SIZE, 1, MAX_BATCH_SIZE, 'whole');
  const begin = (index: number): BatchSequence => new BatchSequence(model, tokenizer, index, texts[index]!, options);
  const unused = model.createState();
  texts.forEach(({ ids, options: own, constraint }, index) => {
    if (ids.length === 0) throw emptyPrompt(`generateBatch: prompt ${index}`);
    model.check(ids, unused);
    stopStrings(own.stop);
    new Continuation(model.parts.config, [], checkLimits('generateBatch', own, TEXT_OPTIONS, model.parts.config), own, constraint);
  });
  const { maxTokens } = model.parts.workspace;
  const pace = new Pace(options.signal);
  const results: BatchResult[] = [];
  let active: BatchSequence[] = [];
  let next = 0;
  for (;;) {
    while (active.length < batchSize && next < texts.length) active.push(begin(next++));
    for (const sequence of active) if (sequence.isOver) results[sequence.index] = sequence.result();
    active = active.filter((sequence) => !sequence.isOver);
    if (active.length === 0 && next === texts.length) return results;
    await pace.giveWay();
    const inputs = active.map((sequence) => sequence.input(maxTokens));
    model.forwardSequences(inputs, (logits, _position, n) => active[n]!.choose(logits));
    active.forEach((sequence, n) => sequence.haveRead(inputs[n]!));
  }
}
