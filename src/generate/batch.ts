import type { ConstraintState } from '../constrain/constraint.js';
import { ArgumentError, show } from '../errors.js';
import type { Model } from '../model/model.js';
import type { SequenceInput } from '../model/chunk.js';
import type { ModelState } from '../model/state.js';
import { checkNumber, checkTextOrIds, givenOptions } from '../options.js';
import { Pace } from '../platform/pace.js';
import type { Tokenizer } from '../tokenizer/tokenizer.js';
import { Continuation } from './continuation.js';
import {
  checkLimits, emptyPrompt, GENERATE_OPTIONS, stopStrings, type FinishReason, type GenerateOptions, type Limits,
} from './options.js';
import { isMessages, type Prompt } from './prompt.js';
import { PREFIX_STEP, type PrefixCache, type PrefixPlace } from './prefix-cache.js';
import { checkPrefixCache } from './prefix-option.js';
import { checkSamplerOptions, pickSamplingOptions } from '../sampling/sampling-options.js';
import { TextPieces } from './text-pieces.js';

/** Options of one text of a batch: as `generate`, but it has a state of its own, and there are no guesses. */
export type BatchTextOptions = Omit<GenerateOptions, 'state' | 'speculate' | 'draftModel' | 'signal' | 'prefixCache'>;

/** A prompt, as text, ids or messages, and options for it that go before those for all. */
export type BatchPrompt = Prompt | ({ readonly prompt: Prompt } & BatchTextOptions);

/** Options of `generateBatch`. `seed` is that of the first text, the second has `seed + 1`, and so on. */
export interface BatchOptions extends BatchTextOptions {
  /** Texts at work at the same time, 1 to 64; default 16. As one ends, the next begins. */
  readonly batchSize?: number | undefined;
  /** Called with each piece of text, as soon as it can be shown, and the index of its prompt. */
  readonly onPiece?: ((text: string, index: number) => void) | undefined;
  readonly prefixCache?: PrefixCache | undefined;
  /** Stops everything; the call rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
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

const NOT_IN_A_BATCH = ['state', 'speculate', 'draftModel', 'signal', 'prefixCache'];
const TEXT_OPTIONS = [...GENERATE_OPTIONS.filter((key) => !NOT_IN_A_BATCH.includes(key)), 'stop'];
export const BATCH_OPTIONS: readonly string[] = [...TEXT_OPTIONS, 'batchSize', 'onPiece', 'signal', 'prefixCache'];
const DEFAULT_BATCH_SIZE = 16;
const MAX_BATCH_SIZE = 64;

/** Prompt and options of each text. @throws ArgumentError for what is no prompt. */
export function batchTexts(prompts: readonly BatchPrompt[], options: BatchOptions): { prompt: Prompt; options: BatchTextOptions }[] {
  if (!Array.isArray(prompts)) throw new ArgumentError(`generateBatch: the prompts are ${show(prompts)}, not a list`);
  const { batchSize: _batchSize, onPiece: _onPiece, signal: _signal, prefixCache: _prefixCache, ...shared } = options;
  const { seed } = shared;
  return prompts.map((each: BatchPrompt, index) => {
    const what = `generateBatch: prompt ${index}`;
    const hasOptions = typeof each === 'object' && each !== null && 'prompt' in each;
    const { prompt, ...own } = hasOptions ? each : { prompt: each };
    if (!isMessages(prompt)) checkTextOrIds(what, prompt);
    return { prompt, options: { ...shared, ...(typeof seed === 'number' ? { seed: seed + index } : {}), ...givenOptions(what, own, TEXT_OPTIONS) } };
  });
}

/** One text while it is at work. */
class BatchSequence {
  readonly state: ModelState;
  readonly index: number;
  isOver = false;
  private readonly continuation: Continuation;
  private readonly limits: Limits;
  private readonly maxPositions: number;
  private readonly pieces: TextPieces | undefined;
  private readonly prompt: readonly number[];
  private readonly ids: number[] = [];
  private readonly onPiece: BatchOptions['onPiece'];
  private readonly prefixCache: PrefixCache | undefined;
  private begun: number | undefined;
  private cachedTokens = 0;
  private place: PrefixPlace | undefined;
  private read = 0; // ids of the prompt that have been read
  private text = '';

  constructor(model: Model, tokenizer: Tokenizer | undefined, index: number, { ids, options, constraint }: BatchText, batch: BatchOptions) {
    const { config } = model.parts;
    this.index = index;
    this.state = model.createState();
    this.prompt = Array.from(ids);
    this.limits = checkLimits(options, config);
    this.maxPositions = model.parts.blueprint.maxPositions;
    this.continuation = new Continuation(config, this.prompt, this.limits, options, constraint);
    this.pieces = tokenizer && new TextPieces(tokenizer, this.prompt, stopStrings(options.stop));
    this.onPiece = batch.onPiece;
    this.prefixCache = batch.prefixCache;
    this.isOver = this.continuation.finishReason !== undefined;
  }

  /** Whether all of the prompt has been read. */
  get isWriting(): boolean {
    return this.read === this.prompt.length;
  }

  /** What is to be read next: what was chosen last, or at most `room` ids of the prompt. */
  input(room: number): SequenceInput {
    const { prompt, state } = this;
    if (this.isWriting) return { ids: this.ids.slice(-1), state, what: 'generateBatch', want: 'last' };
    if (this.begun === undefined) this.begin();
    const most = this.place ? Math.min(room, PREFIX_STEP - (this.read % PREFIX_STEP)) : room;
    const ids = prompt.slice(this.read, this.read + most);
    return { ids, state, what: 'generateBatch', want: this.read + ids.length === prompt.length ? 'last' : 'nothing' };
  }

  private begin(): void {
    this.begun = performance.now();
    this.place = this.prefixCache?.restore(this.prompt, this.state);
    this.read = this.cachedTokens = this.place?.length ?? 0;
  }

  /** Takes note that the last input has been read. */
  haveRead({ ids, want }: SequenceInput): void {
    if (this.isWriting) return;
    this.read += ids.length;
    if (this.place && want === 'nothing' && this.read % PREFIX_STEP === 0) {
      this.place = this.prefixCache!.store(this.prompt, this.place, this.state);
    }
  }

  /** Chooses the next token, from the logits after the last input. */
  choose(logits: Float32Array): void {
    const id = this.continuation.choose(logits);
    if (id !== undefined) {
      this.ids.push(id);
      if (this.pieces) this.show(this.pieces.show(this.pieces.decode(id)));
    }
    if (this.state.tokens === this.maxPositions) this.continuation.finishReason ??= 'length';
    if (!this.continuation.finishReason && performance.now() - this.begun! >= this.limits.maxTimeMs) this.continuation.finishReason = 'time';
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
  const { parts: { config, workspace: { maxTokens } } } = model;
  const { signal, prefixCache } = options;
  const batchSize = checkNumber('batchSize', options.batchSize ?? DEFAULT_BATCH_SIZE, 1, MAX_BATCH_SIZE, 'whole');
  const unused = model.createState();
  checkPrefixCache(prefixCache, unused);
  texts.forEach(({ ids, options: own }, index) => {
    if (ids.length === 0) throw emptyPrompt(`generateBatch: prompt ${index}`);
    model.check(ids, unused, `generateBatch: prompt ${index}`);
    stopStrings(own.stop);
    checkLimits(own, config);
    checkSamplerOptions(config.vocabSize, { seed: 0, ...pickSamplingOptions(own) });
  });
  const pace = new Pace(signal);
  const results: BatchResult[] = [];
  let active: BatchSequence[] = [];
  let next = 0;
  try {
    for (;;) {
      while (active.length < batchSize && next < texts.length) active.push(new BatchSequence(model, tokenizer, next, texts[next++]!, options));
      for (const sequence of active) {
        if (!sequence.isOver) continue;
        results[sequence.index] = sequence.result();
        sequence.state.release();
      }
      active = active.filter((sequence) => !sequence.isOver);
      if (active.length === 0 && next === texts.length) return results;
      await pace.giveWay();
      const { inputs, sequences } = nextPass(active, maxTokens, Boolean(prefixCache));
      model.forwardSequences(inputs, (logits, _position, n) => sequences[n]!.choose(logits));
      sequences.forEach((sequence, n) => sequence.haveRead(inputs[n]!));
    }
  } finally {
    for (const { state } of active) state.release();
  }
}

/**
 * All that write, and as much of the prompts as fits beside them: a pass is one chunk, or two where those that write take more than half of
 * one, however many long prompts there are.
 * @param inTurn read one prompt after another: what it leaves in the prefix cache is there for the next one.
 */
function nextPass(active: readonly BatchSequence[], maxTokens: number, inTurn: boolean): { inputs: SequenceInput[]; sequences: BatchSequence[] } {
  const writing = active.filter(({ isWriting }) => isWriting).length;
  let room = (writing > maxTokens / 2 ? 2 : 1) * maxTokens - writing;
  const inputs: SequenceInput[] = [];
  const sequences = active.filter((sequence) => {
    if (!sequence.isWriting && room <= 0) return false;
    const isPrompt = !sequence.isWriting;
    const input = sequence.input(room);
    inputs.push(input);
    if (isPrompt) room -= inTurn && input.want === 'nothing' ? room : input.ids.length;
    return true;
  });
  return { inputs, sequences };
}
