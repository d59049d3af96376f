import type { ChatMessage } from '../chat/messages.js';

/** What a text starts with: a text, ids, or the messages of a conversation that an answer is to follow. */
export type Prompt = string | ArrayLike<number> | readonly ChatMessage[];

export function isMessages(prompt: Prompt): prompt is readonly ChatMessage[] {
  const first: unknown = prompt?.[0] ?? 0;
  return typeof first === 'object' && !Array.isArray(first);
}
