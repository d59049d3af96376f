import type { ChatMessage, ChatTool } from './messages.js';
import type { TemplatePiece } from './text.js';

/** What a template is told beside the messages. */
export interface RenderOptions {
  /** Tools that the model may call. */
  readonly tools?: readonly ChatTool[] | undefined;
  /** Whether it is to think before it answers, where the template knows that. */
  readonly enableThinking?: boolean | undefined;
  /** Other variables of the template's. */
  readonly templateVariables?: Readonly<Record<string, unknown>> | undefined;
}

/** How a model has a conversation as text. */
export interface ChatFormat {
  /** @throws ChatTemplateError. */
  render(messages: readonly ChatMessage[], options: RenderOptions & { readonly addGenerationPrompt: boolean }): TemplatePiece[];
}
