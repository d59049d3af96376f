import { show } from '../errors.js';
import type { GenerateOptions } from '../generate/options.js';
import type { MatMulFreeLM } from '../lm.js';
import type { NumberRange } from '../options.js';
import { SAMPLING_NUMBERS } from '../sampling/sampling-options.js';
import { badField } from './errors.js';
import type { Fields } from './fields.js';
import type { ServerSettings } from './options.js';

/** Fields of a request that say how it is answered, of chats and of completions. Those that OpenAI's API does not have are called as vLLM and llama.cpp call them. */
export const SAMPLING_FIELDS: readonly string[] = [
  'model', 'temperature', 'top_p', 'top_k', 'min_p', 'typical_p', 'presence_penalty', 'frequency_penalty', 'repetition_penalty', 'logit_bias', 'seed', 'stop',
  'max_tokens', 'max_completion_tokens', 'n', 'logprobs', 'stream', 'stream_options', 'response_format',
  // Nothing that they say changes an answer here.
  'user', 'store', 'metadata', 'service_tier', 'safety_identifier', 'prompt_cache_key', 'prompt_cache_retention', 'prediction', 'verbosity',
];

const MAX_N = 16;
/** As OpenAI's API has it. */
export const MAX_TOP_LOGPROBS = 20;
const MAX_STOPS = 16;
const MAX_STOP_LENGTH = 1000;
/** Of a temperature that nobody has said anything about, as OpenAI's API has it. */
const DEFAULT_TEMPERATURE = 1;

export type Asked = GenerateOptions & { readonly maxNewTokens: number };

/** Options of one text. @throws ApiError naming a field. */
export function readSampling(fields: Fields, { generationDefaults }: MatMulFreeLM, { maxTokens }: ServerSettings, defaultTokens: number): Asked {
  const tokens = fields.number('max_completion_tokens', 0, Number.MAX_SAFE_INTEGER, 'whole') ?? fields.number('max_tokens', 0, Number.MAX_SAFE_INTEGER, 'whole');
  const seed = fields.number('seed', -1, Number.MAX_SAFE_INTEGER - MAX_N, 'whole');
  const number = (field: string, option: keyof typeof SAMPLING_NUMBERS): number | undefined => {
    const [, min, max, kind]: NumberRange = SAMPLING_NUMBERS[option];
    return fields.number(field, min, max, kind);
  };
  const given: GenerateOptions = {
    temperature: fields.number('temperature', 0, 100),
    topP: number('top_p', 'topP'),
    topK: number('top_k', 'topK'),
    minP: number('min_p', 'minP'),
    typicalP: number('typical_p', 'typicalP'),
    presencePenalty: number('presence_penalty', 'presencePenalty'),
    frequencyPenalty: number('frequency_penalty', 'frequencyPenalty'),
    repetitionPenalty: number('repetition_penalty', 'repetitionPenalty'),
    logitBias: readBias(fields),
    seed: seed === -1 ? undefined : seed, // llama.cpp: any
    stop: readStop(fields),
  };
  const asked = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as GenerateOptions;
  return { temperature: DEFAULT_TEMPERATURE, ...generationDefaults, ...asked, maxNewTokens: Math.min(tokens ?? defaultTokens, maxTokens) };
}

/** How many texts are wanted of each prompt. */
export function readCount(fields: Fields): number {
  return fields.number('n', 1, MAX_N, 'whole') ?? 1;
}

/** The options of the n-th text of a request. */
export function nth(options: Asked, n: number): Asked {
  return options.seed === undefined ? options : { ...options, seed: options.seed + n };
}

/** Whether the answer comes in pieces, and whether the last one tells what it took. */
export function readStream(fields: Fields): { readonly isStream: boolean; readonly withUsage: boolean } {
  const isStream = fields.boolean('stream') ?? false;
  const options = fields.object('stream_options');
  options?.checkNames(['include_usage', 'include_obfuscation']);
  if (options && !isStream) throw badField('stream_options', 'is for answers with stream: true');
  return { isStream, withUsage: options?.boolean('include_usage') ?? false };
}

function readStop(fields: Fields): GenerateOptions['stop'] {
  const value = fields.get('stop');
  if (value === undefined) return undefined;
  const stops = typeof value === 'string' ? [value] : fields.list('stop', MAX_STOPS)!;
  for (const stop of stops) {
    if (typeof stop !== 'string' || stop === '' || stop.length > MAX_STOP_LENGTH) throw badField('stop', `has ${show(stop)}, not a string of 1 to ${MAX_STOP_LENGTH} characters`);
  }
  return stops as readonly string[];
}

function readBias(fields: Fields): ReadonlyMap<number, number> | undefined {
  const value = fields.get('logit_bias');
  if (value === undefined) return undefined;
  fields.object('logit_bias');
  return new Map(Object.entries(value as Record<string, unknown>).map(([id, bias]) => {
    if (!/^\d{1,9}$/.test(id)) throw badField('logit_bias', `has the key ${show(id)}, which is no token id`);
    if (typeof bias !== 'number' || !(bias >= -100 && bias <= 100)) throw badField('logit_bias', `has ${show(bias)} for the token ${id}, not a number from -100 to 100`);
    return [Number(id), bias];
  }));
}
