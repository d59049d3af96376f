import { ArgumentError } from '../errors.js';
import type { Model } from '../model/model.js';
import type { ModelState } from '../model/state.js';
import type { Tokenizer } from '../tokenizer/tokenizer.js';
import { checkKeys, checkNumber } from '../options.js';
import { Pace } from '../pace.js';
import { randomSeed } from './random.js';
import { Sampler } from './sampler.js';
import { pickSamplingOptions } from './sampling-options.js';
import { StopStrings } from './stop-strings.js';

/** Options of `generateIds`; see `SamplerOptions` for what the sampling ones mean. */
export interface GenerateIdsOptions {
  /** Most tokens to add; default 256. */
  readonly maxNewTokens?: number;
  /** Default 0: greedy. */
  readonly temperature?: number;
  readonly topK?: number;
  readonly topP?: number;
  readonly minP?: number;
  /** Default: a random one, which the result names. */
  readonly seed?: number;
  /** Go on from this state instead of an empty one, and leave in it prompt and all that was generated (as far as an abort let it). */
  readonly state?: ModelState;
  /** Stops before the next token; the call rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

export interface GenerateOptions extends GenerateIdsOptions {
  /** Stop at the first of these strings; no part of it is given out. */
  readonly stop?: string | readonly string[];
}

/** What the generator returns when it is done (`value` of the last `next()`). */
export interface GenerateResult {
  readonly finishReason: 'eos' | 'length' | 'stop';
  readonly promptTokens: number;
  readonly newTokens: number;
  readonly seed: number;
  /** Milliseconds for the prompt. */
  readonly prefillMs: number;
  /** Milliseconds for the new tokens, without the time the consumer took. */
  readonly decodeMs: number;
}

const ID_OPTIONS = ['maxNewTokens', 'temperature', 'topK', 'topP', 'minP', 'seed', 'state', 'signal'];
const DEFAULT_MAX_NEW_TOKENS = 256;
/** Prompt tokens between two looks at the signal. */
const PREFILL_STEP = 128;

export function emptyPrompt(): ArgumentError {
  return new ArgumentError('generate: the prompt is empty; to start from nothing, give the BOS id: [lm.config.bosTokenId]');
}

/** One run over one prompt: `next()` gives ids until there are no more. */
class Generation {
  finishReason: GenerateResult['finishReason'] = 'length';
  private readonly model: Model;
  private readonly prompt: ArrayLike<number>;
  private readonly options: GenerateIdsOptions;
  private readonly maxNewTokens: number;
  private readonly seed: number;
  private readonly sampler: Sampler;
  private readonly pace: Pace;
  private readonly state: ModelState;
  private readonly logits: Float32Array; // [vocab] after the prompt, or after `last`
  private readonly last = [0];
  /** `last` has been given out but is not in the state yet: it goes in when the next id is wanted. */
  private pending = false;
  private started = false;
  private newTokens = 0;
  private prefillMs = 0;
  private decodeMs = 0;

  constructor(model: Model, prompt: ArrayLike<number>, options: GenerateIdsOptions) {
    checkKeys('generateIds', options, ID_OPTIONS);
    if (prompt?.length === 0) throw emptyPrompt();
    const { vocabSize } = model.parts.config;
    this.model = model;
    this.prompt = prompt;
    this.options = options;
    this.maxNewTokens = checkNumber(
      'maxNewTokens', options.maxNewTokens ?? DEFAULT_MAX_NEW_TOKENS, 0, Number.MAX_SAFE_INTEGER, 'whole',
    );
    this.seed = options.seed ?? randomSeed();
    this.pace = new Pace(options.signal);
    this.sampler = new Sampler(vocabSize, { ...pickSamplingOptions(options), seed: this.seed });
    this.state = options.state ?? model.createState();
    model.check(prompt, this.state); // all of it now, so that a bad id does not leave the state half-way
    this.logits = new Float32Array(vocabSize);
  }

  /** The next id, or undefined after the last one. @throws the signal's reason. */
  async next(): Promise<number | undefined> {
    if (!this.started) await this.prefill();
    await this.pace.giveWay();
    if (this.newTokens === this.maxNewTokens) return undefined;
    const start = performance.now();
    if (this.pending) {
      this.model.forwardLast(this.last, this.state, this.logits);
      this.pending = false;
    }
    const id = this.sampler.sample(this.logits);
    this.decodeMs += performance.now() - start;
    if (this.model.parts.config.eosTokenIds.includes(id)) {
      this.finishReason = 'eos';
      return undefined;
    }
    this.last[0] = id;
    this.pending = true;
    this.newTokens++;
    return id;
  }

  private async prefill(): Promise<void> {
    this.started = true;
    const { model, prompt, state } = this;
    const start = performance.now();
    for (let first = 0; first < prompt.length; first += PREFILL_STEP) {
      await this.pace.giveWay();
      const ids = Array.prototype.slice.call(prompt, first, first + PREFILL_STEP) as number[];
      if (first + PREFILL_STEP < prompt.length) model.advance(ids, state);
      else model.forwardLast(ids, state, this.logits);
    }
    this.prefillMs = performance.now() - start;
  }

  /** Leaves in the caller's state everything that was given out. */
  close(): void {
    if (this.pending && this.options.state) this.model.advance(this.last, this.state);
    this.pending = false;
  }

  result(): GenerateResult {
    const { finishReason, newTokens, seed, prefillMs, decodeMs } = this;
    return { finishReason, promptTokens: this.prompt.length, newTokens, seed, prefillMs, decodeMs };
  }
}

/**
 * Yields ids sampled one after another, until an EOS id (which is not yielded) or `maxNewTokens`.
 * @throws ArgumentError for an option or a prompt; the signal's reason when it is aborted.
 */
export async function* generateIds(
  model: Model, prompt: ArrayLike<number>, options: GenerateIdsOptions = {},
): AsyncGenerator<number, GenerateResult, undefined> {
  const generation = new Generation(model, prompt, options);
  try {
    for (let id = await generation.next(); id !== undefined; id = await generation.next()) yield id;
    return generation.result();
  } finally {
    generation.close();
  }
}

/** As `generateIds`, with text coming out: pieces as soon as they are whole characters. */
export async function* generateText(
  model: Model, tokenizer: Tokenizer, prompt: ArrayLike<number>, options: GenerateOptions = {},
): AsyncGenerator<string, GenerateResult, undefined> {
  const { stop, ...idOptions } = options;
  const stops = new StopStrings(stopStrings(stop));
  const generation = new Generation(model, prompt, idOptions);
  // A vocabulary may be padded with ids that stand for nothing.
  const isToken = (id: number): boolean => tokenizer.idToToken(id) !== undefined;
  const decoder = tokenizer.createDecodeStream({ prompt: Array.from(prompt).filter(isToken) });
  try {
    for (let id = await generation.next(); id !== undefined && !stops.stopped; ) {
      const piece = isToken(id) ? stops.push(decoder.push(id)) : '';
      if (piece !== '') yield piece;
      if (!stops.stopped) id = await generation.next();
    }
    const rest = stops.stopped ? '' : stops.push(decoder.flush()) + stops.flush();
    if (rest !== '') yield rest;
    if (stops.stopped) generation.finishReason = 'stop';
    return generation.result();
  } finally {
    generation.close();
  }
}

function stopStrings(stop: GenerateOptions['stop']): readonly string[] {
  const stops: readonly unknown[] = stop === undefined ? [] : typeof stop === 'string' ? [stop] : stop;
  if (!Array.isArray(stops) || !stops.every((s): s is string => typeof s === 'string' && s !== '')) {
    throw new ArgumentError('option stop is not a string or a list of strings, each of at least one character');
  }
  return stops;
}
