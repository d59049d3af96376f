import type { RenderOptions } from '../chat/format.js';
import type { ConstraintSpec } from '../constrain/compile.js';
import { ArgumentError } from '../errors.js';
import type { ModelState } from '../model/state.js';
import { checkNumber } from '../options.js';
import type { SpeculateOptions } from '../speculate/drafter.js';
import type { PrefixCache } from './prefix-cache.js';
import { SAMPLING_OPTIONS, type SamplingOptions } from '../sampling/sampling-options.js';

/** Options of `generateIds`. */
export interface GenerateIdsOptions extends SamplingOptions, SpeculateOptions, RenderOptions {
  /** Most tokens to add; default 256. */
  readonly maxNewTokens?: number | undefined;
  /** Ids that end the text, and are not given out. Default: the model's (`config.eosTokenIds`); `[]` for none. */
  readonly eosTokenIds?: readonly number[] | undefined;
  /**
   * What the text must be: `{ choices }`, `{ regex }` or `{ jsonSchema }` (`compileChoices`, `compileRegex`, `compileJsonSchema` say what they
   * take, and make one that can be used again). The text is valid, or `maxNewTokens` has cut it: then `finishReason` is 'length'.
   */
  readonly constraint?: ConstraintSpec | undefined;
  /** Milliseconds, from the start on, after which no further token comes. The prompt is read in any case. Default: no limit. */
  readonly maxTimeMs?: number | undefined;
  /** Go on from this state instead of an empty one, and leave in it prompt and all that was generated (as far as an abort let it). */
  readonly state?: ModelState | undefined;
  /** Read the beginning of the prompt from here, if it is there, and leave it here for the next one (`lm.createPrefixCache`). */
  readonly prefixCache?: PrefixCache | undefined;
  /** Stops before the next token; the call rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

export interface GenerateOptions extends GenerateIdsOptions {
  /** Stop at the first of these strings; no part of it is given out. */
  readonly stop?: string | readonly string[] | undefined;
}

/** Options of `generateTokens`. */
export interface GenerateTokensOptions extends GenerateOptions {
  /** How many of the most probable tokens to tell at each place, up to 100; default 0. */
  readonly topLogprobs?: number | undefined;
}

/**
 * Why a text ended: an end-of-text token of the model, `maxNewTokens`, one of the strings of `stop`, `maxTimeMs`, or a constraint whose
 * output is complete.
 */
export type FinishReason = 'eos' | 'length' | 'stop' | 'time' | 'complete';

/** What the generator returns when it is done (`value` of the last `next()`). */
export interface GenerateResult {
  readonly finishReason: FinishReason;
  /** Which of the strings of `stop` was found. */
  readonly stopString?: string;
  /** Ids of the prompt; 1 for a session, which has read all of its text but the last id. */
  readonly promptTokens: number;
  /** Of these, how many came out of the prefix cache. */
  readonly cachedTokens: number;
  readonly newTokens: number;
  /** Tokens that were guessed (`speculate`), and how many of these guesses were right. */
  readonly draftedTokens: number;
  readonly acceptedTokens: number;
  readonly seed: number;
  /** Milliseconds for the prompt. */
  readonly prefillMs: number;
  /** Milliseconds for the new tokens, without the time the consumer took. */
  readonly decodeMs: number;
}

export const GENERATE_OPTIONS: readonly (keyof GenerateIdsOptions)[] = [
  'maxNewTokens', 'eosTokenIds', 'constraint', 'maxTimeMs', 'state', 'prefixCache', 'speculate', 'draftModel', 'signal', 'tools', 'enableThinking',
  'templateVariables', ...SAMPLING_OPTIONS,
];
export const TEXT_OPTIONS: readonly string[] = [...GENERATE_OPTIONS, 'stop'];
const DEFAULT_MAX_NEW_TOKENS = 256;

/** Limits of a text, checked. */
export interface Limits {
  readonly maxNewTokens: number;
  readonly maxTimeMs: number;
  readonly eosTokenIds: readonly number[];
}

/** @throws ArgumentError naming an option that is out of range. Sampling options are checked by the sampler. */
export function checkLimits(options: GenerateIdsOptions, config: { vocabSize: number; eosTokenIds: readonly number[] }): Limits {
  const eosTokenIds = options.eosTokenIds ?? config.eosTokenIds;
  if (!Array.isArray(eosTokenIds) || !eosTokenIds.every((id) => Number.isInteger(id) && id >= 0 && id < config.vocabSize)) {
    throw new ArgumentError(`option eosTokenIds is not a list of token ids from 0 to ${config.vocabSize - 1}`);
  }
  return {
    maxNewTokens: checkNumber('maxNewTokens', options.maxNewTokens ?? DEFAULT_MAX_NEW_TOKENS, 0, Number.MAX_SAFE_INTEGER, 'whole'),
    maxTimeMs: checkNumber('maxTimeMs', options.maxTimeMs ?? Infinity, 0, Infinity),
    eosTokenIds,
  };
}

/** @throws ArgumentError unless `stop` is a string or a list of strings that are not empty. */
export function stopStrings(stop: GenerateOptions['stop']): readonly string[] {
  const stops: readonly unknown[] = stop === undefined ? [] : typeof stop === 'string' ? [stop] : stop;
  if (!Array.isArray(stops) || !stops.every((s): s is string => typeof s === 'string' && s !== '')) {
    throw new ArgumentError('option stop is not a string or a list of strings, each of at least one character');
  }
  return stops;
}

export function emptyPrompt(what: string): ArgumentError {
  return new ArgumentError(`${what}: the prompt is empty; to start from nothing, give the BOS id: [lm.config.bosTokenId]`);
}
