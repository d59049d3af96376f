import { ConfigError, show } from '../errors.js';
import type { NumberRange } from '../options.js';
import { SAMPLING_NUMBERS, type SamplingOptions } from './sampling-options.js';

/** What a checkpoint's authors would have `generate` do, unless the caller says otherwise. */
export interface GenerationDefaults extends SamplingOptions {
  readonly maxNewTokens?: number;
}

/**
 * Reads `generation_config.json`: temperature (with `do_sample` only: without it transformers is greedy), top_k, top_p, min_p,
 * typical_p, repetition_penalty, suppress_tokens, max_new_tokens. Only keys that are there count: transformers' unwritten top_k of
 * 50 does not. EOS ids are `ModelConfig.eosTokenIds`.
 * @throws ConfigError naming file and key.
 */
export function generationDefaults(json: Readonly<Record<string, unknown>>, vocabSize: number): GenerationDefaults {
  const defaults: { -readonly [K in keyof GenerationDefaults]: GenerationDefaults[K] } = {};
  const fail = (key: string, wanted: string): never => {
    throw new ConfigError(`generation_config.json: ${key} is ${show(json[key])}, not ${wanted}`);
  };
  const number = (key: string, [, min, max, kind]: NumberRange): number | undefined => {
    const value = json[key] ?? undefined;
    if (value === undefined) return undefined;
    if (typeof value === 'number' && value >= min && value <= max && (!kind || Number.isInteger(value))) return value;
    const range = max >= Number.MAX_SAFE_INTEGER ? `at least ${min}` : `from ${min} to ${max}`;
    return fail(key, `a ${kind ? 'whole ' : ''}number ${range}`);
  };
  const take = (option: Exclude<keyof GenerationDefaults, 'bannedTokens' | 'logitBias' | 'forcedTokens' | 'logitsProcessor'>, value: number | undefined): void => {
    if (value !== undefined) defaults[option] = value;
  };
  const sample = json['do_sample'] ?? false;
  if (typeof sample !== 'boolean') fail('do_sample', 'true or false');
  const temperature = number('temperature', SAMPLING_NUMBERS.temperature);
  if (sample) take('temperature', temperature ?? 1);
  // Some files write -1 for all.
  take('topK', json['top_k'] === -1 ? 0 : number('top_k', SAMPLING_NUMBERS.topK));
  take('topP', number('top_p', SAMPLING_NUMBERS.topP));
  take('minP', number('min_p', SAMPLING_NUMBERS.minP));
  take('typicalP', number('typical_p', SAMPLING_NUMBERS.typicalP));
  take('repetitionPenalty', number('repetition_penalty', SAMPLING_NUMBERS.repetitionPenalty));
  take('maxNewTokens', number('max_new_tokens', [0, 0, Number.MAX_SAFE_INTEGER, 'whole']));
  const banned = json['suppress_tokens'] ?? undefined;
  if (banned !== undefined) {
    const isId = (id: unknown): id is number => Number.isInteger(id) && (id as number) >= 0 && (id as number) < vocabSize;
    if (!Array.isArray(banned) || !banned.every(isId)) return fail('suppress_tokens', `a list of token ids from 0 to ${vocabSize - 1}`);
    defaults.bannedTokens = banned;
  }
  return defaults;
}
