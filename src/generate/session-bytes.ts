import { ArgumentError } from '../errors.js';
import type { Model } from '../model/model.js';
import type { ModelState } from '../model/state.js';

/** The last ids of a text that a session remembers: penalties and guesses look back so far. */
export const SESSION_MEMORY = 1024;

/** All that a session is. */
export interface SessionContent {
  /** After all ids of the text but `unread`. */
  readonly state: ModelState;
  /** Ids of the text that the state has not read yet: at least the last one, so that its logits can be made when they are wanted. */
  readonly unread: readonly number[];
  /** The last ids of the text, `unread` included. */
  readonly memory: readonly number[];
}

const MAGIC = 'MMFT';
const VERSION = 1;
/** magic 4, version u32, unread u32, memory u32; then the ids of `memory`, u32 each, and the state. */
const HEADER_BYTES = 16;

/** At most 48 + 4 · 1024 bytes more than the floats of the state, and keys and values of a model with attention. */
export function encodeSession({ state, unread, memory }: SessionContent): Uint8Array {
  const kept = memory.slice(-Math.max(SESSION_MEMORY, unread.length));
  const saved = state.serialize();
  const bytes = new Uint8Array(HEADER_BYTES + 4 * kept.length + saved.length);
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < 4; i++) bytes[i] = MAGIC.charCodeAt(i);
  view.setUint32(4, VERSION, true);
  view.setUint32(8, unread.length, true);
  view.setUint32(12, kept.length, true);
  kept.forEach((id, n) => view.setUint32(HEADER_BYTES + 4 * n, id, true));
  bytes.set(saved, HEADER_BYTES + 4 * kept.length);
  return bytes;
}

/** @throws ArgumentError when the bytes are no session, are damaged, or belong to another model, which it names by its fingerprint. */
export function decodeSession(bytes: Uint8Array, model: Model): SessionContent {
  const magic = String.fromCharCode(...bytes.subarray(0, 4));
  if (bytes.length < HEADER_BYTES || magic !== MAGIC) throw new ArgumentError('openSession: the bytes are not a saved session');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const version = view.getUint32(4, true);
  if (version !== VERSION) throw new ArgumentError(`openSession: the session has version ${version}, this library reads ${VERSION}`);
  const unread = view.getUint32(8, true);
  const count = view.getUint32(12, true);
  const stateAt = HEADER_BYTES + 4 * count;
  if (unread > count || stateAt > bytes.length) throw new ArgumentError('openSession: the session is damaged');
  const state = model.restoreState(bytes.subarray(stateAt), 'openSession');
  const memory = Array.from({ length: count }, (_, n) => view.getUint32(HEADER_BYTES + 4 * n, true));
  const isEmpty = state.tokens === 0 && count === 0;
  if (memory.some((id) => id >= model.parts.config.vocabSize) || (unread === 0 && !isEmpty) || count > state.tokens + unread) {
    state.release();
    throw new ArgumentError('openSession: the session is damaged');
  }
  return { state, unread: memory.slice(count - unread), memory };
}
