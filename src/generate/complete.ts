import { parseAnswer, type Answer } from './answer.js';
import type { RenderOptions } from '../chat/format.js';
import type { ChatMessage } from '../chat/messages.js';
import type { GenerateOptions, GenerateResult } from './options.js';
import { isMessages, type Prompt } from './prompt.js';

/** A text that was written, as a whole. After messages it is an answer, taken apart: `text` is without the thought and the calls of tools. */
export interface Completion extends GenerateResult, Omit<Answer, 'content'> {
  readonly text: string;
}

/** Collects what a generator writes after `prompt`. */
export async function complete(
  generator: AsyncGenerator<string, GenerateResult, undefined>, prompt: Prompt, options: GenerateOptions, chats: { opensThought(messages: readonly ChatMessage[], options: RenderOptions): boolean } | undefined,
): Promise<Completion> {
  let text = '';
  let step = await generator.next();
  for (; !step.done; step = await generator.next()) text += step.value;
  if (!isMessages(prompt)) return { ...step.value, text };
  const { content, ...rest } = parseAnswer(text, chats!.opensThought(prompt, options), options.tools !== undefined);
  return { ...step.value, text: content, ...rest };
}
