import { answerPrompt } from '../generate/answer-prompt.js';
import { encodeRendered } from '../generate/chat-ids.js';
import { forcedCall } from '../generate/tool-choice.js';
import type { MatMulFreeLM } from '../lm.js';
import { readFormat, type Constraints } from './constraints.js';
import type { Wanted } from './engine.js';
import { ApiError, badField } from './errors.js';
import type { Fields } from './fields.js';
import { readMessages, readTools, type ReadTool } from './messages.js';
import type { ServerSettings } from './options.js';
import { MAX_TOP_LOGPROBS, nth, readCount, readSampling, readStream, SAMPLING_FIELDS } from './sampling.js';

const FIELDS = [
  ...SAMPLING_FIELDS, 'messages', 'tools', 'tool_choice', 'parallel_tool_calls', 'top_logprobs', 'reasoning_effort', 'enable_thinking', 'chat_template_kwargs', 'modalities',
];
const NO_TEMPLATE = 'this model has no chat template, which says how a conversation is written; ask /v1/completions, or start the server with one (matmulfree serve --chat-template FILE)';

/** What a request for a chat wants. */
export interface ChatRequest {
  readonly texts: readonly Wanted[];
  readonly isStream: boolean;
  readonly withUsage: boolean;
  /** Whether the prompt has opened a thought. */
  readonly isThinking: boolean;
  /** What may be called; undefined: nothing. */
  readonly callable: readonly ReadTool[] | undefined;
  /** Whether the answer has to be a call, and nothing else. */
  readonly isForced: boolean;
  readonly severalCalls: boolean;
}

/** @throws ApiError naming a field, or for a model without a chat template; ChatTemplateError. */
export function readChat(fields: Fields, lm: MatMulFreeLM, settings: ServerSettings, constraints: Constraints): ChatRequest {
  if (!lm.hasChatTemplate) throw new ApiError(400, NO_TEMPLATE, { code: 'no_chat_template' });
  fields.checkNames(FIELDS);
  const modalities = fields.list('modalities', 8);
  if (modalities?.some((each) => each !== 'text')) throw badField('modalities', 'has more than "text", which is all that this model writes');
  const messages = readMessages(fields);
  const choice = readTools(fields);
  const format = readFormat(fields);
  const sampling = readSampling(fields, lm, settings, settings.defaultTokens);
  const chats = lm.chats('the request');
  const render = { tools: choice.tools, enableThinking: format || choice.forced ? false : readThinking(fields), templateVariables: readVariables(fields) };
  const call = choice.forced && { ...forcedCall(chats.format, messages, render, choice.forced), field: 'tools' };
  const constraint = constraints.compile(call ?? format, chats.eosTokenIds);
  const { pieces, isThinking } = answerPrompt(chats.format, messages, { ...render, constraint });
  const ids = encodeRendered(lm.tokenizer, pieces, true);
  const options = { ...sampling, eosTokenIds: chats.eosTokenIds };
  const topLogprobs = readLogprobs(fields);
  return {
    texts: Array.from({ length: readCount(fields) }, (_, n) => ({ ids, options: nth(options, n), constraint, topLogprobs })),
    ...readStream(fields), isThinking, isForced: call !== undefined, severalCalls: choice.several,
    callable: call !== undefined || !format ? choice.tools : undefined, // what has to be JSON is no call, whatever it looks like
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
