import { ArgumentError, show } from '../errors.js';
import { isJsonObject } from '../formats/bytes.js';
import { givenOptions } from '../options.js';
import { createChatFormat, type ChatFormat, type RenderOptions } from './format.js';
import type { ChatMessage } from './messages.js';
import { textOf } from './piece-text.js';
import { chatTemplateOf, controlTokensOf, DEFAULT_TEMPLATE } from './template-sources.js';

/** A tokenizer, as far as it knows of conversations. */
export interface ChatTokenizer {
  readonly chatSources: {
    /** By name; else those of `config`. */
    readonly chatTemplates?: ReadonlyMap<string, string> | undefined;
    /** tokenizer_config.json. */
    readonly config?: unknown;
  };
  readonly bosTokenId: number | undefined;
  readonly eosTokenId: number | undefined;
  idToToken(id: number): string | undefined;
}

export interface ApplyChatTemplateOptions extends RenderOptions {
  /** Whether the text ends where an answer begins. Default false, as in Hugging Face transformers. */
  readonly addGenerationPrompt?: boolean | undefined;
  /** A template in Jinja, in place of the tokenizer's own. */
  readonly chatTemplate?: string | undefined;
}

/** Undefined where there is no template. */
export async function chatFormatOf(tokenizer: ChatTokenizer, chatTemplates = tokenizer.chatSources.chatTemplates): Promise<ChatFormat | undefined> {
  const { chatSources: { config: given }, bosTokenId, eosTokenId } = tokenizer;
  const config = isJsonObject(given) ? given : {};
  const templates = chatTemplates ?? chatTemplateOf({ tokenizerConfig: config });
  for (const source of templates.values()) if (typeof source !== 'string') throw new ArgumentError(`load: option chatTemplate is ${show(source)}, not a text`);
  const known = Object.fromEntries(Object.entries({ bos_token: bosTokenId, eos_token: eosTokenId }).flatMap(([name, id]) => (id === undefined ? [] : [[name, tokenizer.idToToken(id)!]])));
  return templates.size === 0 ? undefined : createChatFormat(templates, { ...known, ...controlTokensOf(config) });
}

/** See `Tokenizer.applyChatTemplate`. */
export async function applyChatTemplate(tokenizer: ChatTokenizer, messages: readonly ChatMessage[], options: ApplyChatTemplateOptions): Promise<string> {
  const what = 'applyChatTemplate';
  const { addGenerationPrompt = false, chatTemplate, ...render } = givenOptions(what, options, ['addGenerationPrompt', 'chatTemplate', 'tools', 'enableThinking', 'templateVariables']);
  if (typeof addGenerationPrompt !== 'boolean') throw new ArgumentError(`${what}: option addGenerationPrompt is ${show(addGenerationPrompt)}, not true or false`);
  if (chatTemplate !== undefined && typeof chatTemplate !== 'string') throw new ArgumentError(`${what}: option chatTemplate is ${show(chatTemplate)}, not a text`);
  const format = await chatFormatOf(tokenizer, chatTemplate === undefined ? undefined : new Map([[DEFAULT_TEMPLATE, chatTemplate]]));
  if (!format) throw new ArgumentError(`${what}: the tokenizer has no chat template; give one as option chatTemplate`);
  return textOf(format.render(messages, { ...render, addGenerationPrompt }));
}
