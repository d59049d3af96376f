import { ApiError } from './errors.js';
import type { ServerSettings } from './options.js';

/** Who may ask: keys, and pages of other origins. */
export class Access {
  private readonly keys: readonly string[];
  private readonly origins: ServerSettings['origins'];
  private digests: Promise<readonly Uint8Array[]> | undefined;

  constructor({ apiKeys, origins }: ServerSettings) {
    this.keys = apiKeys;
    this.origins = origins;
  }

  /** @throws ApiError unless the request has one of the keys, where there are any. */
  async check(request: Request): Promise<void> {
    if (this.keys.length === 0) return;
    const [, given] = /^Bearer +(.*)$/i.exec(request.headers.get('authorization') ?? '') ?? [];
    if (given === undefined) {
      throw new ApiError(401, 'no API key was given: send the header "Authorization: Bearer KEY"', { headers: { 'www-authenticate': 'Bearer' } });
    }
    const digests = await (this.digests ??= Promise.all(this.keys.map(digest)));
    const found = await digest(given);
    // What is compared are hashes, all of each: the time tells nothing of the keys.
    const isKnown = digests.reduce((known, each) => known | Number(each.reduce((difference, byte, n) => difference | (byte ^ found[n]!), 0) === 0), 0);
    if (!isKnown) throw new ApiError(401, 'this API key is not one of the server\'s', { code: 'invalid_api_key', headers: { 'www-authenticate': 'Bearer' } });
  }

  /** Headers that let a page of another origin read the answer. */
  headers(request: Request): Record<string, string> {
    const { origins } = this;
    if (origins === '*') return { 'access-control-allow-origin': '*' };
    if (origins.length === 0) return {};
    const origin = request.headers.get('origin');
    return { vary: 'origin', ...(origin !== null && origins.includes(origin) ? { 'access-control-allow-origin': origin } : {}) };
  }

  /** Headers of the answer to what a browser asks before such a page may send a request. */
  preflight(request: Request, methods: string): Record<string, string> {
    const headers = this.headers(request);
    if (!('access-control-allow-origin' in headers)) return headers;
    return { ...headers, 'access-control-allow-methods': methods, 'access-control-allow-headers': ALLOWED_HEADERS, 'access-control-max-age': '600' };
  }
}

/** `*` does not stand for authorization. The others are those of the `openai` client. */
const ALLOWED_HEADERS = [
  'authorization', 'content-type', 'openai-organization', 'openai-project', 'openai-beta', 'x-stainless-arch', 'x-stainless-lang', 'x-stainless-os', 'x-stainless-package-version',
  'x-stainless-retry-count', 'x-stainless-runtime', 'x-stainless-runtime-version', 'x-stainless-timeout', 'x-stainless-helper-method', 'x-stainless-poll-helper',
].join(', ');

async function digest(text: string): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text)));
}
