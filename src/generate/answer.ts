import { toolList, type ChatMessage, type Tool } from '../chat/messages.js';
import { isJsonObject } from '../formats/bytes.js';

/** A call of a tool. */
export interface ToolCall {
  readonly name: string;
  readonly arguments: Readonly<Record<string, unknown>>;
}

/** What a model wrote as an answer, taken apart. */
export interface Answer {
  /** The answer itself, without thought and calls. */
  readonly content: string;
  /** What it thought before, where it did. */
  readonly thinking?: string;
  readonly toolCalls?: readonly ToolCall[];
}

/** Marks that models write around a thought. Qwen3, Qwen3.5, DeepSeek, SmolLM3. */
export const THOUGHT = { open: '<think>', close: '</think>' };
export const CALL = { open: '<tool_call>', close: '</tool_call>' };
/** Llama 3.1 may put it before a call. */
export const PYTHON_TAG = '<|python_tag|>';

/**
 * Takes an answer apart: `<think>…</think>` in front, and calls in the forms of Qwen3 (JSON in `<tool_call>`), Qwen3.5 (`<function=…>` with parameters in
 * `<tool_call>`) and Llama 3.1 (one JSON object with `name` and `parameters`, and nothing else).
 * @param isThinking whether the prompt has opened the thought already.
 * @param tools that may be called; undefined: calls are not looked for.
 */
export function parseAnswer(text: string, isThinking: boolean, tools: readonly Tool[] | undefined): Answer {
  const { thinking, rest } = splitThought(text, isThinking);
  const { content, toolCalls } = tools ? splitCalls(rest, tools) : { content: rest, toolCalls: [] };
  return { content, ...(thinking === undefined ? {} : { thinking }), ...(toolCalls.length > 0 ? { toolCalls } : {}) };
}

/** The message that an answer is in the history. */
export function messageOf({ content, thinking, toolCalls }: Answer): ChatMessage {
  return {
    role: 'assistant', content,
    ...(thinking === undefined || thinking === '' ? {} : { reasoning_content: thinking }),
    ...(toolCalls ? { tool_calls: toolCalls } : {}),
  };
}

function splitThought(text: string, isThinking: boolean): { thinking: string | undefined; rest: string } {
  const start = text.trimStart();
  const isOpen = start.startsWith(THOUGHT.open);
  if (!isOpen && !isThinking) return { thinking: undefined, rest: text };
  const inside = isOpen ? start.slice(THOUGHT.open.length) : text;
  const end = inside.indexOf(THOUGHT.close);
  if (end < 0) return { thinking: inside.trim(), rest: '' };
  return { thinking: inside.slice(0, end).trim(), rest: inside.slice(end + THOUGHT.close.length).replace(/^\n+/, '') };
}

function splitCalls(text: string, tools: readonly Tool[]): { content: string; toolCalls: ToolCall[] } {
  const toolCalls: ToolCall[] = [];
  let content = '';
  let at = 0;
  for (;;) {
    const open = text.indexOf(CALL.open, at);
    if (open < 0) break;
    const close = text.indexOf(CALL.close, open);
    const call = parseCall(text.slice(open + CALL.open.length, close < 0 ? undefined : close).trim(), tools);
    if (!call) break; // not a call: it stays text
    toolCalls.push(call);
    content += text.slice(at, open);
    at = close < 0 ? text.length : close + CALL.close.length;
  }
  content += text.slice(at);
  if (toolCalls.length === 0) {
    const trimmed = text.trim();
    const bare = parseJsonCall(trimmed.startsWith(PYTHON_TAG) ? trimmed.slice(PYTHON_TAG.length).trimStart() : trimmed, true);
    if (bare) return { content: '', toolCalls: [bare] };
  }
  return { content: toolCalls.length > 0 ? content.trim() : content, toolCalls };
}

/** What stands between the marks of a call. Undefined for what is none. */
export function parseCall(body: string, tools: readonly Tool[] = []): ToolCall | undefined {
  return parseJsonCall(body, false) ?? parseTaggedCall(body, tools);
}

/** @param isBare without marks around it: then only its arguments tell it from other JSON, such as `{"name": "Ann", "age": 7}`. */
function parseJsonCall(body: string, isBare: boolean): ToolCall | undefined {
  if (!body.startsWith('{')) return undefined;
  try {
    const { name, arguments: given, parameters } = JSON.parse(body) as { name?: unknown; arguments?: unknown; parameters?: unknown };
    const raw = given ?? parameters ?? (isBare ? undefined : {});
    const args: unknown = typeof raw === 'string' ? JSON.parse(raw) : raw;
    return typeof name === 'string' && isJsonObject(args) ? { name, arguments: args } : undefined;
  } catch {
    return undefined;
  }
}

/** `<function=name><parameter=key>value</parameter></function>`, with texts as they are, and all else as JSON: what is meant is told by the tool's schema. */
function parseTaggedCall(body: string, tools: readonly Tool[]): ToolCall | undefined {
  const found = /^<function=([^>\s]+)>([\s\S]*?)(?:<\/function>\s*)?$/.exec(body);
  if (!found) return undefined;
  const name = found[1]!;
  const parameters = toolList(tools).find((tool) => tool.function.name === name)?.function.parameters;
  const properties = isJsonObject(parameters) && isJsonObject(parameters['properties']) ? parameters['properties'] : {};
  const given = [...found[2]!.matchAll(/<parameter=([^>\s]+)>\n?([\s\S]*?)\n?<\/parameter>/g)].map(([, key, value]) => [key!, valueOf(value!, properties[key!])]);
  return { name, arguments: Object.fromEntries(given) as Record<string, unknown> };
}

/** A text where the schema has nothing but texts, although `12` and `true` are JSON too; True and False as templates in Python write them. */
function valueOf(text: string, schema: unknown): unknown {
  const { type, enum: choices } = isJsonObject(schema) ? schema : {};
  if (type === 'string' || (Array.isArray(choices) && choices.every((choice) => typeof choice === 'string'))) return text;
  return jsonOrText(type === 'boolean' ? text.toLowerCase() : text);
}

function jsonOrText(value: string): unknown {
  try {
    return JSON.parse(value);
  } catch {
    return value;
  }
}
