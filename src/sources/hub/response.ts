import { ArgumentError, FormatError, shorten, SourceError } from '../../errors.js';
import { filesFromMemory, type FileSet } from '../../formats/bytes.js';
import { MAX_FILE_BYTES, throttle } from './download.js';
import { statusComplaint, whyBroken } from './failures.js';
import { bodyLength, DEFAULT_TUNING } from './http.js';
import { isWebPage, nameIn, showUrl } from './names.js';
import type { RemoteOptions } from './remote.js';

export type Reading = Pick<RemoteOptions, 'onProgress' | 'signal'>;

/** What cannot be read, and why. */
const SEALED: Readonly<Record<string, string>> = {
  opaque: "its content is hidden from scripts; fetch it without mode: 'no-cors' from a server that allows it (CORS)",
  opaqueredirect: "it is a redirect that was not followed; fetch it without redirect: 'manual'",
  error: 'the connection has failed',
};
/** Bytes that are collected before the engine gets them as a Blob, which it may put on disk. */
const CHUNK_BYTES = 8 * 1024 * 1024;

/** The file that a page or a program has fetched itself. Nothing is kept in the cache. @throws as `readResponse` does. */
export async function filesFromResponse(response: Response, options: Reading, what: string): Promise<FileSet> {
  const [name, blob] = await readResponse(response, options, what);
  return filesFromMemory(name, new Map([[name, blob]]));
}

/** The file at an address that is neither http(s) nor hf:, if the engine can fetch it. @throws SourceError, the signal's reason. */
export async function fetchWhole(address: string, options: Reading, what: string): Promise<FileSet> {
  const { signal } = options;
  let response: Response;
  try {
    response = await fetch(address, signal ? { signal } : {});
  } catch (error) {
    signal?.throwIfAborted();
    throw new SourceError(`${labelOf(address)}: cannot be fetched here (${whyBroken(error)})`);
  }
  return filesFromResponse(response, options, what);
}

/**
 * The bytes of a response, and a name for them. `what` is the caller's function, for messages.
 * @throws SourceError (a failed status, a web page, a connection that fails), ArgumentError for one that has been read, FormatError for too
 * many bytes; the signal's reason, and that of the signal it was fetched with.
 */
export async function readResponse(response: Response, { onProgress, signal }: Reading, what: string): Promise<readonly [name: string, content: Blob]> {
  signal?.throwIfAborted();
  const { status, type, url, body, headers } = response;
  const label = labelOf(url);
  const name = (isOpaque(url) ? undefined : nameIn(url)) ?? 'model.gguf';
  if (SEALED[type] !== undefined) throw new SourceError(`${label}: ${SEALED[type]}`);
  if (!response.ok) throw new SourceError(`${label}: ${statusComplaint(status)}`);
  if (status === 206) throw new SourceError(`${label}: is a part of the file only (status 206); fetch it without the header Range`);
  if (isWebPage(headers.get('content-type'))) throw new SourceError(`${label}: there is no such file: the server answers with a web page`);
  if (response.bodyUsed || body?.locked) throw new ArgumentError(`${what}: this Response has been read already; fetch it again, or give response.clone() away before it is read`);
  const total = bodyLength(headers);
  if (total !== undefined && total > MAX_FILE_BYTES) throw new FormatError(`${label}: has ${total} bytes, says the server, more than the ${MAX_FILE_BYTES} that such a file may have`);
  const most = total ?? DEFAULT_TUNING.maxUnsizedBytes;
  const meter = throttle(DEFAULT_TUNING.progressMs);
  const report = (loaded: number): void => onProgress?.({ stage: 'download', file: name, loaded, total: total ?? 0 });

  const blobs: Blob[] = [];
  let chunks: Uint8Array[] = [];
  let [loaded, collected] = [0, 0];
  const reader = body?.getReader();
  const stop = (): void => void reader?.cancel().catch(() => undefined);
  signal?.addEventListener('abort', stop);
  try {
    for (;;) {
      const part = await reader?.read().catch((error: unknown) => {
        signal?.throwIfAborted();
        if (error instanceof DOMException) throw error; // the signal that it was fetched with
        throw new SourceError(`${label}: ${whyBroken(error)}`);
      });
      signal?.throwIfAborted();
      if (!part || part.done) break;
      loaded += part.value.length;
      collected += part.value.length;
      if (loaded > most) throw new FormatError(`${label}: has more than ${most} bytes${total === undefined ? ', and the server does not say how many' : ', which is what the server said'}`);
      chunks.push(part.value);
      if (collected >= CHUNK_BYTES) {
        blobs.push(new Blob(chunks as BlobPart[]));
        chunks = [];
        collected = 0;
      }
      if (meter.isDue()) report(loaded);
    }
  } catch (error) {
    stop();
    throw error;
  } finally {
    signal?.removeEventListener('abort', stop);
  }
  if (total !== undefined && loaded < total) throw new SourceError(`${label}: the connection ends at byte ${loaded} of ${total}`);
  report(loaded);
  return [name, new Blob([...blobs, ...(chunks as BlobPart[])])];
}

function labelOf(url: string): string {
  return isOpaque(url) ? `the ${url === '' ? 'Response' : `${/^\w+:/.exec(url)![0]} URL`}` : shorten(showUrl(url));
}

/** Whether an address says nothing of what it leads to. */
function isOpaque(url: string): boolean {
  return /^(data:|blob:|$)/i.test(url);
}
