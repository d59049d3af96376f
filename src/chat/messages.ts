import { ArgumentError, show } from '../errors.js';
import { isJsonObject } from '../formats/bytes.js';

/** A part of a message's content, as OpenAI has it. */
export interface TextPart {
  readonly type: 'text';
  readonly text: string;
}

/** What a model asks to be called: as OpenAI has it, or name and arguments alone. */
export type ToolCall =
  | { readonly id?: string; readonly type?: 'function'; readonly function: { readonly name: string; readonly arguments: unknown } }
  | { readonly id?: string; readonly name: string; readonly arguments: unknown };

/** A tool that the model may call: as OpenAI has it, or the function alone. */
export type Tool =
  | { readonly type: 'function'; readonly function: { readonly name: string; readonly [key: string]: unknown } }
  | { readonly name: string; readonly [key: string]: unknown };

/** A message of a conversation. What else is in it is left to the template. */
export interface ChatMessage {
  /** `system`, `user`, `assistant`, `tool`, or what else the template knows. */
  readonly role: string;
  readonly content?: string | null | readonly TextPart[];
  /** What the model thought before it answered; `reasoning_content` is another name for it. */
  readonly thinking?: string;
  readonly reasoning_content?: string;
  readonly tool_calls?: readonly ToolCall[];
  readonly [key: string]: unknown;
}

export interface ConversationOptions {
  /** Whether the prompt ends where the answer begins; true if not given. */
  readonly addGenerationPrompt?: boolean;
  readonly tools?: readonly Tool[];
  /** For templates that can switch thoughts on and off. */
  readonly enableThinking?: boolean;
  /** Texts of control tokens: `bos_token`, `eos_token`, … */
  readonly tokens?: Readonly<Record<string, string>>;
  /** What else the template knows. */
  readonly variables?: Readonly<Record<string, unknown>>;
}

/**
 * A conversation as the variables of a template, by the names that transformers has for them.
 * @throws ArgumentError naming message and key.
 */
export function chatVariables(messages: readonly ChatMessage[], options: ConversationOptions = {}): Record<string, unknown> {
  const { addGenerationPrompt = true, tools, enableThinking, tokens = {}, variables = {} } = options;
  if (!Array.isArray(messages)) throw new ArgumentError(`messages is ${show(messages)}, not a list`);
  if (messages.length === 0) throw new ArgumentError('messages is empty: give at least one message');
  return {
    ...tokens,
    ...variables,
    messages: messages.map((message, i) => messageVariables(message, `messages[${i}]`)),
    // As transformers has it: none rather than undefined, also for an empty list.
    tools: tools === undefined || tools.length === 0 ? null : toolList(tools),
    documents: variables['documents'] ?? null,
    add_generation_prompt: addGenerationPrompt,
    ...(enableThinking === undefined ? {} : { enable_thinking: enableThinking }),
  };
}

/** Tools as OpenAI has them. @throws ArgumentError naming what is none. */
export function toolList(tools: readonly Tool[]): { readonly function: { readonly name: string; readonly parameters?: unknown } }[] {
  if (!Array.isArray(tools)) throw new ArgumentError(`tools is ${show(tools)}, not a list`);
  return tools.map((tool, i) => wrapped(tool, `tools[${i}]`));
}

function messageVariables(message: unknown, path: string): Record<string, unknown> {
  if (!isJsonObject(message)) throw new ArgumentError(`${path} is ${show(message)}, not a message such as { role: 'user', content: 'Hi' }`);
  const { role, content, thinking, reasoning_content: reasoning = thinking, tool_calls: calls, ...rest } = message;
  if (typeof role !== 'string' || role === '') throw new ArgumentError(`${path}.role is ${show(role)}, not a role such as 'user'`);
  if (reasoning !== undefined && reasoning !== null && typeof reasoning !== 'string') throw new ArgumentError(`${path}.thinking is ${show(reasoning)}, not a text`);
  if (calls !== undefined && calls !== null && !Array.isArray(calls)) throw new ArgumentError(`${path}.tool_calls is ${show(calls)}, not a list`);
  return {
    role,
    content: contentText(content, `${path}.content`),
    ...rest,
    // Templates know it by one name or the other.
    ...(typeof reasoning === 'string' ? { reasoning_content: reasoning, thinking: reasoning } : {}),
    ...(Array.isArray(calls) && calls.length > 0 ? { tool_calls: calls.map((call, i) => wrapped(call, `${path}.tool_calls[${i}]`)) } : {}),
  };
}

/** Texts in parts are one text, a line each: most templates know no parts. */
function contentText(content: unknown, path: string): string | null {
  if (typeof content === 'string') return content;
  if (content === undefined || content === null) return null;
  if (!Array.isArray(content)) throw new ArgumentError(`${path} is ${show(content)}, neither a text nor a list of parts`);
  return content.map((part: unknown, i) => {
    if (isJsonObject(part) && part['type'] === 'text' && typeof part['text'] === 'string') return part['text'];
    const what = isJsonObject(part) ? `of the type ${show(part['type'])}` : show(part);
    throw new ArgumentError(`${path}[${i}] is ${what}; this library reads parts such as { type: 'text', text: 'Hi' } alone`);
  }).join('\n');
}

/** A tool, or a call of one, as templates know it: `{ type: 'function', function: … }`. */
function wrapped(value: unknown, path: string): { function: { name: string } } {
  if (!isJsonObject(value)) throw new ArgumentError(`${path} is ${show(value)}, not an object with a name`);
  const { id, type = 'function', function: inner, ...rest } = value;
  const outer = { ...(id === undefined ? {} : { id }), type };
  const named = inner === undefined ? rest : inner;
  if (!isNamed(named)) throw new ArgumentError(`${path}: has no name, neither in function nor beside it`);
  return inner === undefined ? { ...outer, function: named } : { ...outer, ...rest, function: named };
}

function isNamed(value: unknown): value is { name: string } {
  return isJsonObject(value) && typeof value['name'] === 'string';
}
