import type { ChatMessage } from '../chat/messages.js';
import { CALL, THOUGHT } from '../generate/answer.js';
import type { Chats } from '../generate/chat-host.js';
import { encodeRendered } from '../generate/chat-ids.js';
import { opensThought } from '../generate/conversation.js';
import type { MatMulFreeLM } from '../lm.js';
import { readFormat, type Constraints } from './constraints.js';
import type { Wanted } from './engine.js';
import { badField } from './errors.js';
import type { Fields } from './fields.js';
import { readMessages, readTools, type ReadTool, type ToolChoice } from './messages.js';
import type { ServerSettings } from './options.js';
import { nth, readCount, readSampling, readStream, SAMPLING_FIELDS } from './sampling.js';

const FIELDS = [
  ...SAMPLING_FIELDS, 'messages', 'tools', 'tool_choice', 'parallel_tool_calls', 'top_logprobs', 'reasoning_effort', 'enable_thinking', 'chat_template_kwargs', 'modalities',
];
const MAX_TOP_LOGPROBS = 20;

/** What a request for a chat wants. */
export interface ChatRequest {
  readonly texts: readonly Wanted[];
  readonly isStream: boolean;
  readonly withUsage: boolean;
  /** What the answer is taken to begin with: it has been put at the end of the prompt. */
  readonly prefix: string;
  /** Whether the prompt has opened a thought. */
  readonly isThinking: boolean;
  readonly hasTools: boolean;
  /** Whether the answer has to be a call, and nothing else. */
  readonly isForced: boolean;
  readonly severalCalls: boolean;
}

/** @throws ApiError naming a field; ArgumentError for a model without a chat template; ChatTemplateError. */
export function readChat(fields: Fields, lm: MatMulFreeLM, settings: ServerSettings, constraints: Constraints): ChatRequest {
  fields.checkNames(FIELDS);
  const modalities = fields.list('modalities', 8);
  if (modalities?.some((each) => each !== 'text')) throw badField('modalities', 'has more than "text", which is all that this model writes');
  const messages = readMessages(fields);
  const choice = readTools(fields);
  const format = readFormat(fields);
  const sampling = readSampling(fields, lm, settings, settings.defaultTokens);
  const chats = lm.chats('the request');
  const enableThinking = format || choice.forced ? false : readThinking(fields);
  const prompt = chats.format.render(messages, { tools: choice.tools, enableThinking, templateVariables: readVariables(fields), addGenerationPrompt: true });
  const isInThought = opensThought(prompt);
  const call = choice.forced && forcedCall(chats, messages, choice);
  const wanted = call ?? format;
  const constraint = wanted && constraints.compile(wanted.schema, chats.eosTokenIds, wanted.field);
  const prefix = call?.open ?? '';
  const end = `${wanted && isInThought ? `\n${THOUGHT.close}\n\n` : ''}${prefix}`; // what is constrained is the answer, not the thought
  const ids = encodeRendered(lm.tokenizer, prompt, true);
  if (end !== '') ids.push(...lm.tokenizer.encode(end, { addSpecialTokens: false, continues: true }));
  const options = { ...sampling, eosTokenIds: chats.eosTokenIds };
  const topLogprobs = readLogprobs(fields);
  return {
    texts: Array.from({ length: readCount(fields) }, (_, n) => ({ ids, options: nth(options, n), constraint, topLogprobs })),
    ...readStream(fields), prefix, isThinking: isInThought && !wanted, isForced: call !== undefined, hasTools: choice.tools !== undefined, severalCalls: choice.several,
  };
}

/** Undefined: as the template has it. */
function readThinking(fields: Fields): boolean | undefined {
  const effort = fields.oneOf('reasoning_effort', ['none', 'minimal', 'low', 'medium', 'high', 'xhigh']);
  const inTemplate = fields.object('chat_template_kwargs')?.boolean('enable_thinking');
  return fields.boolean('enable_thinking') ?? inTemplate ?? (effort === undefined ? undefined : effort !== 'none');
}

/** vLLM and llama.cpp: other variables of the template's. Control tokens are not for requests to say. */
function readVariables(fields: Fields): Readonly<Record<string, unknown>> | undefined {
  const given = fields.object('chat_template_kwargs');
  if (!given) return undefined;
  const others = Object.entries(fields.get('chat_template_kwargs') as Record<string, unknown>).filter(([name]) => name !== 'enable_thinking' && !/_tokens?$/.test(name));
  return Object.fromEntries(others);
}

function readLogprobs(fields: Fields): number | undefined {
  const top = fields.number('top_logprobs', 0, MAX_TOP_LOGPROBS, 'whole');
  if (fields.boolean('logprobs')) return top ?? 0;
  if (top !== undefined && top > 0) throw badField('top_logprobs', 'is for requests with logprobs: true');
  return undefined;
}

/** A call as the model would write it: in `<tool_call>`, or bare with `parameters` where its template has calls so, as Llama 3.1's does. */
function forcedCall(chats: Chats, messages: readonly ChatMessage[], { tools, forced }: ToolChoice): { readonly open: string; readonly schema: unknown; readonly field: string } {
  const isBare = writesBareCalls(chats, messages, tools!);
  const [open, key] = isBare ? ['', 'parameters'] as const : [`${CALL.open}\n`, 'arguments'] as const;
  const calls = forced!.map(({ function: { name, parameters } }, n) => ({
    type: 'object', required: ['name', key], additionalProperties: false,
    // With an `$id`, `$ref` is meant from the root of the parameters.
    properties: { name: { const: name }, [key]: { $id: `tool-${n}`, type: 'object', ...parameters } },
  }));
  return { open, schema: calls.length === 1 ? calls[0] : { anyOf: calls }, field: 'tools' };
}

function writesBareCalls(chats: Chats, messages: readonly ChatMessage[], tools: readonly ReadTool[]): boolean {
  const call = { role: 'assistant', content: '', tool_calls: [{ type: 'function' as const, function: { name: tools[0]!.function.name, arguments: {} } }] };
  try {
    const text = chats.format.render([...messages, call], { tools, addGenerationPrompt: false }).map((piece) => piece.text).join('');
    return !text.includes(CALL.open) && /"parameters": ?\{\}/.test(text);
  } catch {
    return false;
  }
}
