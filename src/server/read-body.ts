import { messageOf, shorten } from '../errors.js';
import { ApiError } from './errors.js';
import { Fields } from './fields.js';

/** Objects and lists within each other. Deeper ones are of no use, and what walks through them would run out of stack. */
const MAX_DEPTH = 64;

/** The JSON object of a request. @throws ApiError for one that is too large, too slow, or none. */
export async function readJson(request: Request, maxBytes: number, maxMs: number): Promise<Fields> {
  const type = request.headers.get('content-type') ?? '';
  if (!/^application\/([\w.+-]+\+)?json\s*(;|$)/i.test(type)) {
    throw new ApiError(415, 'the body has to be JSON: send the header "content-type: application/json"', { code: 'unsupported_media_type' });
  }
  const bytes = await readBytes(request, maxBytes, maxMs);
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new ApiError(400, 'the body is not UTF-8');
  }
  checkDepth(text);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new ApiError(400, `the body is not JSON: ${shorten(messageOf(error))}`);
  }
  return new Fields(value);
}

async function readBytes(request: Request, maxBytes: number, maxMs: number): Promise<Uint8Array> {
  const tooLarge = new ApiError(413, `the body has more than ${maxBytes} bytes`, { code: 'request_too_large' });
  if (Number(request.headers.get('content-length') ?? 0) > maxBytes) throw tooLarge;
  const reader = request.body?.getReader();
  if (!reader) return new Uint8Array(0);
  const chunks: Uint8Array[] = [];
  let length = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new ApiError(408, `the body did not come within ${maxMs / 1000} s`, { code: 'request_timeout' })), maxMs);
  });
  try {
    for (;;) {
      const { done, value } = await Promise.race([reader.read(), late]);
      if (done) break;
      length += value.length;
      if (length > maxBytes) throw tooLarge;
      chunks.push(value);
    }
  } catch (error) {
    void reader.cancel().catch(() => undefined);
    throw error instanceof ApiError ? error : new ApiError(400, 'the body did not come to its end');
  } finally {
    clearTimeout(timer);
  }
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}

/** @throws ApiError where brackets outside of strings are nested too deep. */
function checkDepth(text: string): void {
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    const char = text[at]!;
    if (char === '"') at = endOfString(text, at + 1);
    else if (char === '}' || char === ']') depth--;
    else if ((char === '{' || char === '[') && ++depth > MAX_DEPTH) throw new ApiError(400, `the body has objects and lists nested more than ${MAX_DEPTH} deep`);
  }
}

function endOfString(text: string, from: number): number {
  let at = from;
  while (at < text.length && text[at] !== '"') at += text[at] === '\\' ? 2 : 1;
  return at;
}
