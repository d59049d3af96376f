import { SourceError } from '../../errors.js';
import { isOffline } from '../../platform/node.js';
import { Broken, broken, Unreachable } from './failures.js';
import { showUrl } from './names.js';

/** How hard to try. Times in milliseconds. */
export interface Tuning {
  /** Requests in a row that may fail while the file does not grow. */
  readonly attempts: number;
  /** Wait after the first failure; doubled after each, up to `maxBackoffMs`, with jitter. */
  readonly backoffMs: number;
  readonly maxBackoffMs: number;
  /** Longest wait that a server's Retry-After is heeded for. */
  readonly maxRetryAfterMs: number;
  /** A request is given up when fewer than `stallBytes` come in this time. */
  readonly stallMs: number;
  readonly stallBytes: number;
  /** By so many bytes: then the count begins anew. */
  readonly progressBytes: number;
  /** The most that is taken of a file whose size the server does not say. */
  readonly maxUnsizedBytes: number;
  readonly connections: number;
  readonly pieceBytes: number;
  /** What has come is noted, for good, each time that a connection has brought so many bytes: a process may be killed at any time. */
  readonly keepBytes: number;
  /** The first piece, fetched alone, tells whether the server does ranges. */
  readonly firstPieceBytes: number;
  /** Between two reports of progress. */
  readonly progressMs: number;
  /** Until somebody is told that a server has not answered yet, and between two times. */
  readonly waitMs: number;
}

export const DEFAULT_TUNING: Tuning = {
  attempts: 6,
  backoffMs: 500,
  maxBackoffMs: 20_000,
  maxRetryAfterMs: 60_000,
  stallMs: 30_000,
  stallBytes: 16 * 1024,
  progressBytes: 1024 * 1024,
  maxUnsizedBytes: 4 * 2 ** 30,
  connections: 4,
  pieceBytes: 32 * 1024 * 1024,
  keepBytes: 2 * 1024 * 1024,
  firstPieceBytes: 1024 * 1024,
  progressMs: 50,
  waitMs: 1000,
};

export interface Net {
  readonly token: string | undefined;
  /** The origin that the token is for: it goes nowhere else. */
  readonly tokenOrigin: string | undefined;
  readonly signal: AbortSignal | undefined;
  readonly tuning: Tuning;
  readonly contact: Contact;
}

/** What is known of a server while a model is fetched from it. */
export interface Contact {
  /** It has answered. */
  isMade: boolean;
  /** Told now and then while it has not. */
  readonly onWait: () => void;
}

/** A response to a GET. */
export interface Reply {
  readonly status: number;
  readonly type: string;
  /** Bytes of the body, where the server says so. */
  readonly length: number | undefined;
  /** From Content-Range. */
  readonly range: { readonly start: number; readonly total: number } | undefined;
  /** Changes when the content does: the ETag, or the date. */
  readonly tag: string | undefined;
  /** What the Hub says of a file before it sends us to where it lies. */
  readonly linkedSize: number | undefined;
  readonly sha256: string | undefined;
  readonly complaint: string | undefined;
  /** The body. @throws Broken when the connection fails. */
  read(onChunk: (bytes: Uint8Array) => void | Promise<void>): Promise<void>;
}

const FEW_ATTEMPTS = 2;
/** A try that took longer, such as one that waited for a name server, is the last of few. */
const QUICK_MS = 1000;

/** With an answer in the cache, being offline is told by fewer attempts; by one where the browser says so itself. */
export function withFewAttempts(net: Net): Net {
  const attempts = isOffline() ? 1 : Math.min(FEW_ATTEMPTS, net.tuning.attempts);
  return { ...net, tuning: { ...net.tuning, attempts } };
}

const MAX_REDIRECTS = 10;

/**
 * GETs `url` and hands the reply to `use`; again, after a pause, as long as that fails with `Broken`.
 * @param range the bytes wanted, both ends included, asked for before each attempt.
 * @param label what is fetched, for messages.
 * @param progress the most bytes there ever were of it: while others bring it on, a connection may be refused.
 * @throws Unreachable when there is no getting through, what `use` throws, or the signal's reason.
 */
export async function get<T>(
  net: Net, label: string, url: string, range: () => string | undefined, use: (reply: Reply) => Promise<T>,
  progress: () => number = () => 0,
): Promise<T> {
  const { signal, tuning, contact } = net;
  let before = progress();
  for (let failures = 0; ; ) {
    signal?.throwIfAborted();
    const began = performance.now();
    const watch = watchStall(signal, tuning);
    let broken: Broken;
    try {
      const reply = await whileWaiting(net, send(net, label, url, range(), watch));
      contact.isMade = true;
      if (isPassing(reply.status)) throw new Broken(`the server answers with status ${reply.status}`, reply.retryAfterMs);
      return await use(reply);
    } catch (error) {
      signal?.throwIfAborted();
      if (!(error instanceof Broken)) throw error;
      broken = error;
    } finally {
      watch.end();
    }
    if (progress() - before >= tuning.progressBytes) {
      failures = 0;
      before = progress();
    }
    // A server that was never reached may not be there at all. One that was is waited for.
    const isHopeless = broken.isNoWay && !contact.isMade;
    const isLast = isHopeless && (isOffline() || failures + 1 >= FEW_ATTEMPTS || performance.now() - began > QUICK_MS);
    if (++failures >= tuning.attempts || isLast) {
      throw new Unreachable(`${label}: ${broken.message} (${showUrl(url)}, tried ${failures} times)`);
    }
    const backoff = Math.min(tuning.maxBackoffMs, tuning.backoffMs * 2 ** (failures - 1));
    const jitter = backoff * (0.5 + Math.random() / 2);
    await sleep(Math.min(broken.retryAfterMs ?? 0, tuning.maxRetryAfterMs) + jitter, signal);
  }
}

/** Tells `contact.onWait`, as long as the server has never answered, that it is waited for. */
async function whileWaiting<T>({ tuning, contact }: Net, sending: Promise<T>): Promise<T> {
  sending.catch(() => undefined); // should `onWait` throw, nobody waits for it
  while (!contact.isMade) {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<'late'>((resolve) => { timer = setTimeout(resolve, tuning.waitMs, 'late'); });
    const first = await Promise.race([sending, late]).finally(() => clearTimeout(timer));
    if (first !== 'late') return first as T;
    contact.onWait();
  }
  return sending;
}

/** Whether asking again may help. What stands before a server has numbers of its own above 504. */
function isPassing(status: number): boolean {
  return [408, 425, 429].includes(status) || (status >= 500 && status !== 501 && status !== 505);
}

/** @throws the signal's reason. */
export function sleep(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return void reject(signal.reason as Error);
    const stop = (): void => {
      clearTimeout(timer);
      reject(signal!.reason as Error);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', stop);
      resolve();
    }, ms);
    signal?.addEventListener('abort', stop);
  });
}

/** A controller that `parent` aborts too; `end` lets go of the parent. AbortSignal.any is younger than the engines we run on. */
export function childController(parent: AbortSignal | undefined): { controller: AbortController; end: () => void } {
  const controller = new AbortController();
  const stop = (): void => controller.abort(parent!.reason);
  if (parent?.aborted) stop();
  parent?.addEventListener('abort', stop);
  return { controller, end: () => parent?.removeEventListener('abort', stop) };
}

interface Watch {
  readonly signal: AbortSignal;
  readonly arrived: (bytes: number) => void;
  readonly end: () => void;
}

function watchStall(parent: AbortSignal | undefined, { stallMs, stallBytes }: Tuning): Watch {
  const { controller, end } = childController(parent);
  let fresh = 0;
  const timer = setInterval(() => {
    if (fresh < stallBytes) controller.abort(new Broken(`the connection stalls: ${fresh} bytes in ${stallMs / 1000} s`));
    fresh = 0;
  }, stallMs);
  return {
    signal: controller.signal,
    arrived(bytes) {
      fresh += bytes;
    },
    end() {
      clearInterval(timer);
      end();
      controller.abort(); // of a body that nobody reads on
    },
  };
}

/** One request, redirects followed by hand: what is meant for one host must not travel to the next. */
async function send(
  net: Net, label: string, url: string, range: string | undefined, watch: Watch,
): Promise<Reply & { retryAfterMs: number | undefined }> {
  const home = new URL(url).origin;
  let at = new URL(url);
  let trusted = true;
  let linked: Headers | undefined;
  for (let hop = 0; hop <= MAX_REDIRECTS; hop++) {
    const headers: Record<string, string> = range === undefined ? {} : { range: `bytes=${range}` };
    if (trusted && net.token !== undefined && at.origin === net.tokenOrigin) headers['authorization'] = `Bearer ${net.token}`;
    const init: RequestInit = { headers, signal: watch.signal, cache: 'no-store', redirect: 'manual' };
    const response = await request(at, init);
    if (trusted) linked ??= response.headers.has('x-linked-etag') ? response.headers : undefined;
    const location = response.headers.get('location');
    if (![301, 302, 303, 307, 308].includes(response.status) || location === null) return readReply(response, linked, watch);
    response.body?.cancel().catch(() => undefined);
    at = nextAddress(label, location, at);
    trusted = trusted && at.origin === home; // once away, no longer at home
  }
  throw new SourceError(`${label}: more than ${MAX_REDIRECTS} redirects`);
}

function nextAddress(label: string, location: string, from: URL): URL {
  let to: URL | undefined;
  try {
    to = new URL(location, from);
  } catch {
    // said below
  }
  const isSafe = to && !to.username && !to.password && (to.protocol === 'https:' || (to.protocol === 'http:' && from.protocol === 'http:'));
  if (!to || !isSafe) throw new SourceError(`${label}: ${showUrl(from)} redirects to where nothing is fetched from (only http and https, never from https to http)`);
  return to;
}

async function request(url: URL, init: RequestInit): Promise<Response> {
  try {
    const response = await fetch(url, init);
    // A browser hides where it goes. It follows by itself then, and takes Authorization off on the way to another origin.
    return response.type === 'opaqueredirect' ? await fetch(url, { ...init, redirect: 'follow' }) : response;
  } catch (error) {
    throw broken(error);
  }
}

function readReply(response: Response, linked: Headers | undefined, watch: Watch): Reply & { retryAfterMs: number | undefined } {
  const { status, headers } = response;
  const range = /^bytes (\d{1,15})-\d+\/(\d{1,15})$/.exec(headers.get('content-range') ?? '');
  return {
    status,
    type: headers.get('content-type') ?? '',
    length: bodyLength(headers),
    range: range ? { start: Number(range[1]), total: Number(range[2]) } : undefined,
    tag: linked?.get('x-linked-etag') || headers.get('etag') || headers.get('last-modified') || undefined,
    linkedSize: natural(linked?.get('x-linked-size')),
    sha256: /^"?([0-9a-f]{64})"?$/.exec(linked?.get('x-linked-etag') ?? '')?.[1],
    complaint: headers.get('x-error-message') ?? undefined,
    retryAfterMs: retryAfter(headers.get('retry-after')),
    async read(onChunk) {
      const reader = response.body?.getReader();
      // Node 20 may leave a read waiting for ever when the request is aborted just as its last bytes arrive.
      watch.signal.addEventListener('abort', () => void reader?.cancel().catch(() => undefined));
      for (;;) {
        const part = await reader?.read().catch((error: unknown) => { throw broken(error); });
        if (watch.signal.aborted) throw broken(watch.signal.reason);
        if (!part || part.done) return;
        watch.arrived(part.value.length);
        await onChunk(part.value);
      }
    },
  };
}

/** Bytes of a body, where the server says so. Of one that is compressed, the length is not that of what is read. */
export function bodyLength(headers: Headers): number | undefined {
  return (headers.get('content-encoding') ?? 'identity') === 'identity' ? natural(headers.get('content-length')) : undefined;
}

function natural(text: string | null | undefined): number | undefined {
  return text && /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}

/** Seconds, or a date. */
function retryAfter(text: string | null): number | undefined {
  if (text === null) return undefined;
  const ms = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - Date.now();
  return Number.isNaN(ms) ? undefined : Math.max(0, ms);
}
