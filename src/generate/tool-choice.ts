import type { ChatFormat, RenderOptions } from '../chat/format.js';
import { toolList, type ChatMessage, type Tool } from '../chat/messages.js';
import { textOf } from '../chat/piece-text.js';
import type { ConstraintSpec } from '../constrain/compile.js';
import { ArgumentError, missingPart, show } from '../errors.js';
import { isJsonObject } from '../formats/bytes.js';
import { CALL } from './answer.js';
import type { ChatHost } from './transcript.js';

/** Whether tools are called: as the model sees fit, never, one of them in any case, or this one. */
export type ToolChoice = 'auto' | 'none' | 'required' | { readonly name: string };

/** OpenAI's API: a function without `parameters` has none. */
const NO_PARAMETERS = { properties: {}, additionalProperties: false };

export interface ToolOptions extends RenderOptions {
  /** Default 'auto'. With 'required' or a name the answer is a call, and nothing else, which is valid by the tool's JSON Schema (`parameters`). */
  readonly toolChoice?: ToolChoice | undefined;
}

/** A call as JSON, and what is written around it. */
export interface ForcedCall {
  readonly schema: unknown;
  readonly around: readonly [before: string, behind: string];
}

export type ForcedTool = ReturnType<typeof toolList>[number];

/** What the template is told, and what the answer must be. */
export interface Asked {
  readonly render: RenderOptions;
  readonly constraint: ConstraintSpec | undefined;
  /** What may be called in it; undefined: nothing. What has to follow a constraint of the caller's is no call, whatever it looks like. */
  readonly callable: readonly Tool[] | undefined;
}

/** Makes of `toolChoice` what it means. @throws ArgumentError for a choice that is none, or names no tool, or beside a constraint; or a schema that is not supported. */
export async function askFor(
  what: string, chats: ChatHost, messages: readonly ChatMessage[], { toolChoice = 'auto', ...render }: ToolOptions, constraint: ConstraintSpec | undefined, eosTokenIds = chats.eosTokenIds,
): Promise<Asked> {
  if (toolChoice === 'auto') return { render, constraint, callable: constraint === undefined ? render.tools : undefined };
  if (toolChoice === 'none') return { render: { ...render, tools: undefined }, constraint, callable: undefined };
  const { tools = [] } = render;
  const given: unknown = toolChoice;
  const name = isJsonObject(given) ? given['name'] : undefined;
  if (given !== 'required' && typeof name !== 'string') throw new ArgumentError(`${what}: option toolChoice is ${show(given)}, not 'auto', 'none', 'required' or { name }`);
  const known = toolList(tools);
  const forced = name === undefined ? known : known.filter((tool) => tool.function.name === name);
  if (forced.length === 0) throw new ArgumentError(`${what}: option toolChoice asks for a call, but ${name === undefined ? 'there are no tools' : `${show(name)} is none of the tools`}`);
  if (constraint !== undefined) throw new ArgumentError(`${what}: toolChoice and constraint both say what the answer must be; give one of them`);
  const { schema, around } = forcedCall(chats.format, messages, render, forced);
  const { compileJsonSchema } = await import('../constrain/compile.js').catch(missingPart);
  return { render: { ...render, enableThinking: false }, constraint: compileJsonSchema(schema, chats.tokenizer, { eosTokenIds }, around), callable: tools };
}

/** A call of one of some tools as the model would write it: in `<tool_call>`, or bare with `parameters` where its template has calls so, as Llama 3.1's does. */
export function forcedCall(format: ChatFormat, messages: readonly ChatMessage[], render: RenderOptions, forced: readonly ForcedTool[]): ForcedCall {
  const isBare = writesBareCalls(format, messages, render, forced[0]!.function.name);
  const key = isBare ? 'parameters' : 'arguments';
  const calls = forced.map(({ function: { name, parameters } }, n) => ({
    type: 'object', required: ['name', key], additionalProperties: false,
    // With an `$id`, `$ref` is meant from the root of the parameters.
    properties: { name: { const: name }, [key]: { $id: `tool-${n}`, type: 'object', ...(isJsonObject(parameters) ? parameters : NO_PARAMETERS) } },
  }));
  return {
    schema: calls.length === 1 ? calls[0] : { anyOf: calls },
    around: isBare ? ['', ''] : [`${CALL.open}\n`, `\n${CALL.close}`],
  };
}

function writesBareCalls(format: ChatFormat, messages: readonly ChatMessage[], render: RenderOptions, name: string): boolean {
  const call = { role: 'assistant', content: '', tool_calls: [{ name, arguments: {} }] };
  try {
    const text = textOf(format.render([...messages, call], { ...render, addGenerationPrompt: false }));
    return !text.includes(CALL.open) && /"parameters": ?\{\}/.test(text);
  } catch {
    return false;
  }
}
