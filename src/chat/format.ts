import { ArgumentError, show } from '../errors.js';
import { isJsonObject } from '../formats/bytes.js';
import { checkBoolean } from '../options.js';
import { ChatTemplate } from './chat-template.js';
import { chatVariables, type ChatMessage, type Tool } from './messages.js';
import { chooseTemplate } from './template-sources.js';
import type { TemplatePiece } from './text.js';

/** What a template is told beside the messages. */
export interface RenderOptions {
  /** Tools that the model may call. */
  readonly tools?: readonly Tool[] | undefined;
  /** Whether it is to think before it answers, where the template knows that. */
  readonly enableThinking?: boolean | undefined;
  /** Other variables of the template's. */
  readonly templateVariables?: Readonly<Record<string, unknown>> | undefined;
}

/** How a model has a conversation as text. */
export interface ChatFormat {
  /** @throws ChatTemplateError; ArgumentError for messages that are none. */
  render(messages: readonly ChatMessage[], options: RenderOptions & { readonly addGenerationPrompt: boolean }): TemplatePiece[];
}

/**
 * The format that templates give, which have names.
 * @param tokens strings that templates write, such as `bos_token`.
 */
export async function createChatFormat(templates: ReadonlyMap<string, string>, tokens: Readonly<Record<string, string>>): Promise<ChatFormat> {
  const compiled = new Map<string, ChatTemplate | Error>();
  for (const source of templates.values()) {
    // One that cannot be read is an error where it is used: the model writes texts all the same.
    compiled.set(source, await ChatTemplate.compile(source).catch((error: unknown) => (error instanceof Error ? error : new ArgumentError(String(error)))));
  }
  return {
    render(messages, { tools, enableThinking, templateVariables = {}, addGenerationPrompt }) {
      const template = compiled.get(chooseTemplate(templates, { tools: tools !== undefined })!)!;
      if (template instanceof Error) throw template;
      if (enableThinking !== undefined) checkBoolean('enableThinking', enableThinking);
      if (!isJsonObject(templateVariables)) throw new ArgumentError(`option templateVariables is ${show(templateVariables)}, not an object`);
      const options = { tools, enableThinking, variables: templateVariables, tokens, addGenerationPrompt };
      const pieces = template.renderPieces(chatVariables(messages, options));
      if (addGenerationPrompt && pieces.every(({ text }) => text === '')) throw new ArgumentError('the chat template writes nothing for these messages: there is no prompt');
      return pieces;
    },
  };
}
