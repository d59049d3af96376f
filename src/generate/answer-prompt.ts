import type { ChatFormat, RenderOptions } from '../chat/format.js';
import type { ChatMessage } from '../chat/messages.js';
import type { TemplatePiece } from '../chat/text.js';
import { THOUGHT } from './answer.js';

/** What an answer is to be, as far as the prompt depends on it. */
export interface AnswerOptions extends RenderOptions {
  /** What is constrained is the answer, and no thought before it. */
  readonly constraint?: unknown;
}

/**
 * The prompt of an answer to messages, and whether it begins within a thought, as Qwen3.5's template has it. A thought that the template opens is closed
 * before what is constrained.
 */
export function answerPrompt(format: ChatFormat, messages: readonly ChatMessage[], options: AnswerOptions): { readonly pieces: readonly TemplatePiece[]; readonly isThinking: boolean } {
  const pieces = format.render(messages, { ...options, addGenerationPrompt: true });
  const last = pieces.at(-1);
  if (!last?.isTemplate || !last.text.trimEnd().endsWith(THOUGHT.open)) return { pieces, isThinking: false };
  if (options.constraint === undefined) return { pieces, isThinking: true };
  return { pieces: [...pieces, { text: `\n${THOUGHT.close}\n\n`, isTemplate: true }], isThinking: false };
}
