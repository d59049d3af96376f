import { missingPart, notByNew } from '../errors.js';
import type { ChatTemplateOptions, CompiledTemplate } from './compile.js';
import type { TemplatePiece } from './text.js';

/** Only `compile` makes one. */
const MAKER = Symbol('ChatTemplate');

/**
 * A chat template: the Jinja that models come with, which makes a prompt of messages. It is rendered as Hugging Face's transformers renders it, with
 * Python's values; it reads nothing but the variables it is given, and comes to an end.
 */
export class ChatTemplate {
  private readonly template: CompiledTemplate;

  /** @internal */
  constructor(maker: symbol, template: CompiledTemplate) {
    if (maker !== MAKER) throw notByNew('ChatTemplate', 'ChatTemplate.compile');
    this.template = template;
  }

  /**
   * Reads a template.
   * @throws ChatTemplateError naming the line, and what is broken, or which statement, filter or test is not supported.
   */
  static async compile(source: string, options?: ChatTemplateOptions): Promise<ChatTemplate> {
    const { compileTemplate } = await import('./compile.js').catch(missingPart);
    return new ChatTemplate(MAKER, compileTemplate(source, options));
  }

  /**
   * The prompt. Variables are plain data, as `chatVariables` makes them of messages: strings, numbers, booleans, null, arrays, plain objects;
   * whole numbers are ints to the template, others floats.
   * @throws ChatTemplateError naming the line, also where the template itself refuses the messages, or does not come to an end; ArgumentError for
   * variables that are no data.
   */
  render(variables: Readonly<Record<string, unknown>>): string {
    return this.template.render(variables);
  }

  /**
   * As `render`, in pieces that the template wrote, or that came in with the variables: `<|im_end|>` in a message is text, not the end of a turn.
   * What is among `variables` under a name like `eos_token` counts as the template's.
   */
  renderPieces(variables: Readonly<Record<string, unknown>>): TemplatePiece[] {
    return this.template.renderPieces(variables);
  }
}
