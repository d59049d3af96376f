import { ArgumentError, show } from '../../errors.js';
import type { FileSet } from '../../formats/bytes.js';
import { environment } from '../../platform/node.js';
import { openStore } from './cache.js';
import type { DownloadProgress, Fetcher } from './download.js';
import { DEFAULT_TUNING, type Tuning } from './http.js';
import { hubFiles } from './hub-files.js';
import { hubName, parseHubLocation, showUrl } from './names.js';
import { urlFiles } from './url-files.js';

export interface RemoteOptions {
  /**
   * For private models; default: the environment's HF_TOKEN, for models on the Hub. It is sent to the host of the model's address
   * only, and to no other that this one redirects to.
   */
  readonly token?: string | undefined;
  /**
   * Where downloads are kept. In Node a folder; default: the environment's MATMULFREE_CACHE, or a folder of the user's cache. In a
   * browser the name of a cache (Cache API). `false`: in memory, for this model only.
   */
  readonly cache?: string | false | undefined;
  readonly onProgress?: ((progress: DownloadProgress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

const HUB = 'https://huggingface.co';

/**
 * The files of a model on the Hub or under a URL, fetched as they are opened.
 * @throws ArgumentError for what is no such address; SourceError when there is no model, or no getting at it.
 */
export async function openRemote(location: string, options: RemoteOptions, tuning: Tuning = DEFAULT_TUNING): Promise<FileSet> {
  const endpoint = address(environment('HF_ENDPOINT') ?? HUB, 'HF_ENDPOINT').href.replace(/[/?#]+$/, '');
  const where = parseHubLocation(location, endpoint);
  const { origin } = where ? new URL(endpoint) : address(location, 'load');
  // The environment's token is for the Hub; one that is given along with an address is for that address.
  const token = checkToken(options.token ?? (origin === new URL(endpoint).origin ? environment('HF_TOKEN') : undefined));
  const { onProgress, signal } = options;
  const onWait = (): void => onProgress?.({ stage: 'connect', file: where ? hubName(where) : showUrl(location), loaded: 0, total: 0 });
  const fetcher: Fetcher = {
    net: { token, tokenOrigin: origin, signal, tuning, contact: { isMade: false, onWait } },
    store: await openStore(options.cache),
    onProgress,
  };
  return where ? hubFiles(fetcher, where) : urlFiles(fetcher, location);
}

/** Messages show neither user name nor query: both may be secrets. */
function address(text: string, what: string): URL {
  let url: URL | undefined;
  try {
    url = new URL(text);
  } catch {
    // said below
  }
  if (!url || !/^https?:$/.test(url.protocol)) throw new ArgumentError(`${what}: ${show(text.replace(/\/\/.*@|\?.*/g, '…'))} is not an http or https URL`);
  if (url.username || url.password) throw new ArgumentError(`${what}: the URL holds a user name or a password; give a token with the option token`);
  return url;
}

/** The complaint does not quote it. */
function checkToken(token: unknown): string | undefined {
  if (token === undefined || (typeof token === 'string' && /^[\x21-\x7e]+$/.test(token))) return token;
  throw new ArgumentError('the token (option token, or HF_TOKEN) is not a text of printable ASCII characters without spaces');
}
