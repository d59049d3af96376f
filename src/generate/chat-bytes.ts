import type { ChatMessage } from '../chat/messages.js';
import { ArgumentError, messageOf } from '../errors.js';
import { isJsonObject } from '../formats/bytes.js';

/** A conversation beside its session. */
export interface SavedChat {
  readonly messages: readonly ChatMessage[];
  /** How many messages there were before each thing that was said. */
  readonly turns: readonly number[];
  /** Ids of the rendered conversation up to the last of them, if the session has them. */
  readonly rendered: readonly number[];
  /** Whether the session has the answer to it as well. */
  readonly isWhole: boolean;
}

/** "MCH1", then the length of the JSON, the JSON, and the session's bytes. */
const MAGIC = 0x3148434d;
const HEADER_BYTES = 8;

export function encodeChat(chat: SavedChat, session: Uint8Array): Uint8Array {
  const json = new TextEncoder().encode(toJson(chat));
  const bytes = new Uint8Array(HEADER_BYTES + json.length + session.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, MAGIC, true);
  view.setUint32(4, json.length, true);
  bytes.set(json, HEADER_BYTES);
  bytes.set(session, HEADER_BYTES + json.length);
  return bytes;
}

function toJson(chat: SavedChat): string {
  try {
    return JSON.stringify(chat);
  } catch (error) {
    throw new ArgumentError(`chat.save: a message has what JSON cannot hold: ${messageOf(error)}`);
  }
}

/** @throws ArgumentError for bytes that are none of a conversation. */
export function decodeChat(bytes: Uint8Array): { chat: SavedChat; session: Uint8Array } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const length = bytes.length >= HEADER_BYTES && view.getUint32(0, true) === MAGIC ? view.getUint32(4, true) : -1;
  const end = HEADER_BYTES + length;
  if (length < 0 || end > bytes.length) throw damaged();
  const chat = parse(new TextDecoder().decode(bytes.subarray(HEADER_BYTES, end)));
  return { chat, session: bytes.subarray(end) };
}

function parse(text: string): SavedChat {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw damaged();
  }
  if (!isJsonObject(json) || !Array.isArray(json['messages']) || !json['messages'].every(isJsonObject)) throw damaged();
  const { messages, turns, rendered, isWhole } = json;
  if (!isList(turns) || !isList(rendered) || typeof isWhole !== 'boolean') throw damaged();
  return { messages: messages as unknown as ChatMessage[], turns, rendered, isWhole };
}

function isList(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((item) => Number.isInteger(item) && item >= 0);
}

function damaged(): ArgumentError {
  return new ArgumentError('openChat: these are not bytes that chat.save() gave, or they are damaged');
}
