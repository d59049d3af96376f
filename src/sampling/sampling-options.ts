import { ArgumentError, show } from '../errors.js';
import { checkNumber, checkNumbers, givenOptions, type NumberRange } from '../options.js';

/** Whole numbers and a value for each: a Map, an object, or a list of pairs. */
export type ValueByNumber =
  | ReadonlyMap<number, number>
  | Readonly<Record<number, number>>
  | readonly (readonly [number, number])[];

/**
 * Changes `logits` in place: a private copy, [vocab], with bias and penalties in it and -Infinity where a token may not be chosen.
 * @param context the text so far, prompt included (the last 65,536 ids at most; a view, valid during the call), and how many
 * tokens are new.
 */
export type LogitsProcessor = (
  logits: Float32Array, context: { readonly ids: Int32Array; readonly newTokens: number },
) => void;

/**
 * How the next token is chosen. What is not given does nothing. The steps follow Hugging Face transformers, in this order:
 * logitBias, repetitionPenalty, frequencyPenalty and presencePenalty, bannedTokens (and the mask of a constraint), logitsProcessor,
 * temperature, topK, topP, minP, typicalP. Each of the last four looks at what the one before it has left, its probabilities scaled
 * to a sum of 1. At temperature 0 the last five do nothing.
 */
export interface SamplingOptions {
  /** 0 (the default): always the most probable token, of equal ones the one with the lowest id. Otherwise logits are divided by it. */
  readonly temperature?: number | undefined;
  /** Keep the k most probable tokens; 0 (the default): all. */
  readonly topK?: number | undefined;
  /** Keep the fewest most probable tokens whose probabilities reach this sum; 1 (the default): all. */
  readonly topP?: number | undefined;
  /** Drop tokens less probable than this fraction of the most probable one; 0 (the default): none. */
  readonly minP?: number | undefined;
  /**
   * Keep the tokens whose surprise, -log p, is nearest to the mean surprise (the entropy), the fewest that reach this sum of
   * probabilities (Meister et al., 2022); 1 (the default): all.
   */
  readonly typicalP?: number | undefined;
  /**
   * From 0.01 to 100; 1 (the default): none. Logits of tokens that are in the text, prompt included, are divided by it where they
   * are positive and multiplied where they are negative (CTRL; transformers).
   */
  readonly repetitionPenalty?: number | undefined;
  /** From -2 to 2, default 0. Times how often a token is among the new ones (without the prompt), taken from its logit (OpenAI). */
  readonly frequencyPenalty?: number | undefined;
  /** From -2 to 2, default 0. Taken from the logits of all tokens that are among the new ones (OpenAI). */
  readonly presencePenalty?: number | undefined;
  /**
   * The penalties look at that many tokens before the next one, up to 1,048,576; 0: at none. Default: at all, as transformers and
   * OpenAI do. Texts that go on and on want a window (llama.cpp: 64), or every token gets its penalty in the end.
   */
  readonly penaltyWindow?: number | undefined;
  /** By token id, what to add to its logit: from -100 to 100, or -Infinity, which bans it. */
  readonly logitBias?: ValueByNumber | undefined;
  /** Ids that are never chosen. */
  readonly bannedTokens?: readonly number[] | undefined;
  /**
   * Ids of the first new tokens, or by position among the new tokens (0 is the first) the id that comes there. They are chosen
   * whatever the logits say, without a random number; a ban or a constraint that forbids one is an error.
   */
  readonly forcedTokens?: readonly number[] | ValueByNumber | undefined;
  /** The last word on the logits: called before each token is chosen, except forced ones. */
  readonly logitsProcessor?: LogitsProcessor | undefined;
  /** A whole number from 0 to 2⁵³ - 1. The same seed gives the same choices. */
  readonly seed?: number | undefined;
}

export interface SamplerOptions extends SamplingOptions {
  readonly seed: number;
}

export const SAMPLING_NUMBERS = {
  temperature: [0, 0, Number.MAX_VALUE], topK: [0, 0, Number.MAX_SAFE_INTEGER, 'whole'], topP: [1, 0, 1], minP: [0, 0, 1], typicalP: [1, 0, 1],
  repetitionPenalty: [1, 0.01, 100], frequencyPenalty: [0, -2, 2], presencePenalty: [0, -2, 2],
} as const satisfies Record<string, NumberRange>;
type SamplingNumber = keyof typeof SAMPLING_NUMBERS;

/** The keys of `SamplingOptions`. */
export const SAMPLING_OPTIONS = [
  ...Object.keys(SAMPLING_NUMBERS), 'penaltyWindow', 'logitBias', 'bannedTokens', 'forcedTokens', 'logitsProcessor', 'seed',
] as readonly (keyof SamplingOptions)[];

/** Those of `options` that are sampling options. */
export function pickSamplingOptions(options: SamplingOptions): SamplingOptions {
  return Object.fromEntries(SAMPLING_OPTIONS.filter((key) => key in options).map((key) => [key, options[key]]));
}

/** `SamplerOptions`, checked and complete; nothing in it is the caller's. */
export interface SamplerSettings extends Omit<SamplerOptions, SamplingNumber>, Readonly<Record<SamplingNumber, number>> {
  /** undefined: all. */
  readonly penaltyWindow: number | undefined;
  readonly logitBias: ReadonlyMap<number, number>;
  readonly bannedTokens: readonly number[];
  /** By position among the new tokens. */
  readonly forcedTokens: ReadonlyMap<number, number>;
  readonly logitsProcessor: LogitsProcessor | undefined;
}

const MAX_WINDOW = 2 ** 20;
const MAX_VOCABULARY = 2 ** 24;

/** @throws ArgumentError naming an option that does not exist, is of the wrong kind, or out of range. */
export function checkSamplerOptions(vocabSize: number, given: SamplerOptions): SamplerSettings {
  const options = givenOptions('sampler', given, SAMPLING_OPTIONS);
  checkNumber('vocabSize', vocabSize, 1, MAX_VOCABULARY, 'whole');
  const { logitBias, forcedTokens, penaltyWindow } = options;
  const settings: SamplerSettings = {
    ...checkNumbers(SAMPLING_NUMBERS, options),
    penaltyWindow: penaltyWindow === undefined ? undefined : checkNumber('penaltyWindow', penaltyWindow, 0, MAX_WINDOW, 'whole'),
    logitBias: valuesByNumber('logitBias', logitBias ?? [], (id, bias) => {
      checkId('logitBias', id, vocabSize);
      if (bias !== -Infinity) checkNumber(`logitBias of token ${id}`, bias, -100, 100);
    }),
    bannedTokens: checkBanned(options.bannedTokens ?? [], vocabSize),
    forcedTokens: valuesByNumber('forcedTokens', numbered(forcedTokens ?? []), (position, id) => {
      checkNumber('forcedTokens: a position', position, 0, Number.MAX_SAFE_INTEGER, 'whole');
      checkId('forcedTokens', id, vocabSize);
    }),
    logitsProcessor: options.logitsProcessor,
    seed: checkNumber('seed', options.seed, 0, Number.MAX_SAFE_INTEGER, 'whole'),
  };
  if (settings.logitsProcessor !== undefined && typeof settings.logitsProcessor !== 'function') {
    throw new ArgumentError(`option logitsProcessor is ${show(settings.logitsProcessor)}, not a function`);
  }
  for (const id of settings.forcedTokens.values()) {
    if (settings.bannedTokens.includes(id)) throw new ArgumentError(`option forcedTokens: token ${id} is one of bannedTokens`);
  }
  return settings;
}

function checkId(option: string, id: unknown, vocabSize: number): void {
  if (!Number.isInteger(id) || (id as number) < 0 || (id as number) >= vocabSize) {
    throw new ArgumentError(`option ${option}: ${show(id)} is not a token id from 0 to ${vocabSize - 1}`);
  }
}

function checkBanned(ids: readonly number[], vocabSize: number): readonly number[] {
  if (!Array.isArray(ids)) throw new ArgumentError(`option bannedTokens is ${show(ids)}, not a list of token ids`);
  for (const id of ids) checkId('bannedTokens', id, vocabSize);
  return [...ids] as number[];
}

/** A list of ids as pairs of position and id; all else as it is. */
function numbered(values: readonly number[] | ValueByNumber): ValueByNumber {
  if (!Array.isArray(values) || Array.isArray(values[0])) return values as ValueByNumber;
  return (values as readonly number[]).map((id, position) => [position, id] as const);
}

/** Copies a Map, an object or pairs. @throws ArgumentError for another kind, or a number that comes twice. */
function valuesByNumber(
  option: string, values: ValueByNumber, check: (number: number, value: number) => void,
): ReadonlyMap<number, number> {
  if (typeof values !== 'object') {
    throw new ArgumentError(`option ${option} is ${show(values)}, not a Map, an object or a list of pairs`);
  }
  const isIterable = values instanceof Map || Array.isArray(values);
  // The keys of an object are strings, and Number('') is 0.
  const pairs: Iterable<unknown> = isIterable ? values : Object.entries(values).map(([key, value]) => [/^\d+$/.test(key) ? Number(key) : key, value]);
  const copy = new Map<number, number>();
  for (const pair of pairs) {
    if (!Array.isArray(pair) || pair.length !== 2) throw new ArgumentError(`option ${option}: ${show(pair)} is not a pair of numbers`);
    const [number, value] = pair as [number, number];
    check(number, value);
    if (copy.has(number)) throw new ArgumentError(`option ${option}: ${number} comes twice`);
    copy.set(number, value);
  }
  return copy;
}
