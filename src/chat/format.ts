import { ChatTemplate } from './chat-template.js';
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

/**
 * The format that templates give. `tool_use` is for messages with tools, where there is one; `default` for all others.
 * @param tokens strings that templates write, such as `bos_token`.
 */
export async function createChatFormat(templates: Readonly<Record<string, string>>, tokens: Readonly<Record<string, string>>): Promise<ChatFormat> {
  const compiled = new Map<string, ChatTemplate | Error>();
  for (const [name, source] of Object.entries(templates)) {
    // One that cannot be read is an error where it is used: the model writes texts all the same.
    compiled.set(name, await ChatTemplate.compile(source).catch((error: unknown) => (error instanceof Error ? error : new Error(String(error)))));
  }
  return {
    render(messages, { tools, enableThinking, templateVariables, addGenerationPrompt }) {
      const template = (tools && compiled.get('tool_use')) ?? compiled.get('default') ?? [...compiled.values()][0]!;
      if (template instanceof Error) throw template;
      return template.renderPieces({ ...tokens, ...templateVariables, messages, tools, enable_thinking: enableThinking, add_generation_prompt: addGenerationPrompt });
    },
  };
}
