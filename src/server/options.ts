import { ArgumentError, show } from '../errors.js';
import { checkNumbers, givenOptions, type NumberRange } from '../options.js';

/** Options of `createHandler`. */
export interface ServerOptions {
  /** What the model is called in answers, and in requests, where they name one; default 'matmulfree'. */
  readonly modelName?: string | undefined;
  /** Who may ask: requests must have `Authorization: Bearer` and one of these. Default: everybody who can reach the server. */
  readonly apiKey?: string | readonly string[] | undefined;
  /** Pages of other origins that may ask: `true` for all, or their origins, such as 'https://example.com'. Default: none. */
  readonly cors?: boolean | string | readonly string[] | undefined;
  /** Texts that are written at the same time; default 16. */
  readonly batchSize?: number | undefined;
  /** Texts that may wait for their turn; more are told to try again later (429). Default 512. */
  readonly maxQueue?: number | undefined;
  /** Bytes of a request's body; default 4 MiB. */
  readonly maxBodyBytes?: number | undefined;
  /** Milliseconds for a body to come; default 30,000. */
  readonly bodyTimeMs?: number | undefined;
  /** Milliseconds for an answer, waiting included; default 600,000. What has been written by then is sent, as if it had become too long. */
  readonly maxTimeMs?: number | undefined;
  /** Most tokens of an answer, whatever a request asks for; default 8192. */
  readonly maxTokens?: number | undefined;
  /** Tokens of an answer in a chat where a request does not say how many; default 1024. */
  readonly defaultTokens?: number | undefined;
  /** Bytes for beginnings that prompts share; default 64 MiB, 0 for none. */
  readonly prefixCacheBytes?: number | undefined;
  /** Told of errors that are the server's own, of which clients are told nothing. */
  readonly onError?: ((error: unknown) => void) | undefined;
}

/** `ServerOptions`, checked and complete. */
export interface ServerSettings extends Readonly<Record<keyof typeof NUMBERS, number>> {
  readonly modelName: string;
  readonly apiKeys: readonly string[];
  readonly origins: '*' | readonly string[];
  readonly onError: (error: unknown) => void;
}

const NUMBERS = {
  batchSize: [16, 1, 64, 'whole'], maxQueue: [512, 0, 1_000_000, 'whole'], maxBodyBytes: [4 * 2 ** 20, 1, 2 ** 30, 'whole'],
  bodyTimeMs: [30_000, 1, 2 ** 31 - 1, 'whole'], maxTimeMs: [600_000, 1, 2 ** 31 - 2000, 'whole'], maxTokens: [8192, 1, 2 ** 31, 'whole'],
  defaultTokens: [1024, 1, 2 ** 31, 'whole'], prefixCacheBytes: [64 * 2 ** 20, 0, Number.MAX_SAFE_INTEGER, 'whole'],
} as const satisfies Record<string, NumberRange>;

/** @throws ArgumentError for an option that does not exist, or is of the wrong kind. */
export function checkServerOptions(options: ServerOptions): ServerSettings {
  const { modelName = 'matmulfree', apiKey = [], cors = false, onError = () => undefined, ...given } =
    givenOptions('createHandler', options, ['modelName', 'apiKey', 'cors', 'onError', ...Object.keys(NUMBERS)]);
  if (typeof modelName !== 'string' || modelName === '') throw new ArgumentError(`option modelName is ${show(modelName)}, not a name`);
  const numbers = checkNumbers(NUMBERS, given);
  const apiKeys = strings('apiKey', apiKey);
  if (apiKeys.some((key) => !/^[\x21-\x7e]+$/.test(key))) throw new ArgumentError('option apiKey is empty, or has characters that no header can have');
  const origins = cors === true ? '*' : cors === false ? [] : strings('cors', cors);
  for (const origin of origins) {
    if (origin !== '*' && !isOrigin(origin)) throw new ArgumentError(`option cors has ${show(origin)}, which is no origin such as "https://example.com"`);
  }
  return { modelName, apiKeys, origins: origins.includes('*') ? '*' : origins, onError, ...numbers };
}

function strings(name: string, value: string | readonly string[]): readonly string[] {
  const list: readonly unknown[] = typeof value === 'string' ? [value] : value;
  if (!Array.isArray(list) || !list.every((each): each is string => typeof each === 'string')) throw new ArgumentError(`option ${name} is ${show(value)}, not a text or a list of texts`);
  return list;
}

function isOrigin(text: string): boolean {
  try {
    return new URL(text).origin === text;
  } catch {
    return false;
  }
}
