import type { ChatMessage, ToolCall } from '../chat/messages.js';
import { show } from '../errors.js';
import { isJsonObject } from '../formats/bytes.js';
import { badField } from './errors.js';
import type { Fields } from './fields.js';

const MAX_MESSAGES = 2048;
const MAX_PARTS = 1024;
const MAX_TOOLS = 128;
const ROLES = ['system', 'developer', 'user', 'assistant', 'tool'] as const;
/** As OpenAI's API has it. */
const TOOL_NAME = /^[\w.-]{1,64}$/;

/** The conversation of a request. @throws ApiError naming message and field. */
export function readMessages(fields: Fields): readonly ChatMessage[] {
  const messages = fields.objects('messages', MAX_MESSAGES);
  if (!messages) throw badField('messages', 'is missing');
  if (messages.length === 0) throw badField('messages', 'is empty');
  return messages.map(readMessage);
}

function readMessage(fields: Fields): ChatMessage {
  const role = fields.oneOf('role', ROLES);
  if (role === undefined) throw badField(fields.name('role'), 'is missing');
  const content = readContent(fields);
  const calls = fields.objects('tool_calls', MAX_TOOLS)?.map(readCall);
  if (content === undefined && !(role === 'assistant')) throw badField(fields.name('content'), 'is missing');
  const reasoning = fields.string('reasoning_content');
  const id = fields.string('tool_call_id');
  const name = fields.string('name');
  return {
    role: role === 'developer' ? 'system' : role, // what newer models call it
    content: content ?? '',
    ...(reasoning === undefined ? {} : { reasoning_content: reasoning }),
    ...(calls && calls.length > 0 ? { tool_calls: calls } : {}),
    ...(id === undefined ? {} : { tool_call_id: id }),
    ...(name === undefined ? {} : { name }),
  };
}

/** A text, or parts of one. */
function readContent(fields: Fields): string | undefined {
  const value = fields.get('content');
  if (!Array.isArray(value)) return fields.string('content');
  return fields.objects('content', MAX_PARTS)!.map((part) => {
    const type = part.string('type');
    if (type !== 'text') throw badField(part.name('type'), `is ${show(type)}: this model reads text alone`, 'unsupported_content');
    return part.required('text');
  }).join('\n');
}

function readCall(fields: Fields): ToolCall {
  const called = fields.object('function');
  if (!called) throw badField(fields.name('function'), 'is missing');
  const text = called.get('arguments') ?? '{}';
  const name = called.required('name');
  const id = fields.string('id');
  return { ...(id === undefined ? {} : { id }), type: 'function', function: { name, arguments: readArguments(text, called.name('arguments')) } };
}

/** OpenAI's API has them as the text of a JSON object; templates take the object. */
function readArguments(value: unknown, field: string): Readonly<Record<string, unknown>> {
  try {
    const parsed: unknown = typeof value === 'string' ? JSON.parse(value === '' ? '{}' : value) : value;
    if (isJsonObject(parsed)) return parsed;
  } catch { /* said below */ }
  throw badField(field, 'is not the text of a JSON object');
}

/** A tool, as templates know it. */
export type ReadTool = {
  readonly type: 'function';
  readonly function: { readonly name: string; readonly description?: string; readonly parameters?: Readonly<Record<string, unknown>> };
};

/** Which tools the model may call, and whether it has to. */
export interface ToolChoice {
  /** Undefined: none. */
  readonly tools: readonly ReadTool[] | undefined;
  /** Those of which it has to call one. */
  readonly forced: readonly ReadTool[] | undefined;
  /** Whether an answer may have more than one call. */
  readonly several: boolean;
}

export function readTools(fields: Fields): ToolChoice {
  const tools = fields.objects('tools', MAX_TOOLS)?.map(readTool) ?? [];
  const several = fields.boolean('parallel_tool_calls') ?? true;
  const choice = fields.get('tool_choice');
  if (choice !== undefined && choice !== 'none' && tools.length === 0) throw badField('tool_choice', 'is for requests with tools');
  if (tools.length === 0 || choice === 'none') return { tools: undefined, forced: undefined, several };
  if (choice === undefined || choice === 'auto') return { tools, forced: undefined, several };
  if (choice === 'required') return { tools, forced: tools, several };
  if (typeof choice === 'string') throw badField('tool_choice', `is ${show(choice)}, not "none", "auto", "required" or a function`);
  const given = fields.object('tool_choice')!;
  given.oneOf('type', ['function']);
  const name = (given.object('function') ?? given).required('name');
  const forced = tools.filter((tool) => tool.function.name === name);
  if (forced.length === 0) throw badField('tool_choice', `names ${show(name)}, which is none of the tools`);
  return { tools, forced, several };
}

function readTool(fields: Fields): ReadTool {
  const type = fields.string('type');
  if (type !== 'function') throw badField(fields.name('type'), `is ${show(type)}; tools are of the type "function"`);
  const given = fields.object('function');
  if (!given) throw badField(fields.name('function'), 'is missing');
  const name = given.required('name');
  if (!TOOL_NAME.test(name)) throw badField(given.name('name'), `is ${show(name)}, not a name of 1 to 64 letters, digits, and _ . -`);
  const description = given.string('description');
  const parameters = given.get('parameters');
  given.object('parameters');
  return { type: 'function', function: { name, ...(description === undefined ? {} : { description }), ...(parameters === undefined ? {} : { parameters: parameters as Readonly<Record<string, unknown>> }) } };
}
