import { parseAnswer } from '../generate/answer.js';
import { AnswerStream } from '../generate/answer-stream.js';
import type { SequenceResult } from '../generate/batch-sequence.js';
import type { TokenPiece } from '../generate/text-pieces.js';
import { readChat, type ChatRequest } from './chat-request.js';
import type { Wanted } from './engine.js';
import type { Fields } from './fields.js';
import type { Job } from './job.js';
import { Logprobs } from './logprobs.js';
import { eventStream, finishOf, headOf, hex, jsonResponse, usageOf, type Context, type Reply } from './reply.js';

interface WrittenChoice {
  readonly content: string;
  readonly thinking: string | undefined;
  readonly calls: readonly { readonly id: string; readonly type: 'function'; readonly function: { readonly name: string; readonly arguments: string } }[];
  readonly tokens: readonly TokenPiece[];
  readonly result: SequenceResult;
}

/** What is new in an answer, as it is written. */
type OnNews = (delta: Record<string, unknown>, tokens: readonly TokenPiece[]) => void;

/** POST /v1/chat/completions */
export async function answerChat(fields: Fields, context: Context, job: Job): Promise<Reply> {
  const { lm, settings, engine, constraints } = context;
  const request = readChat(fields, lm, settings, constraints);
  const { texts } = request;
  engine.check(texts);
  const logprobs = texts[0]!.topLogprobs === undefined ? undefined : new Logprobs(lm.tokenizer);
  const logprobsOf = (tokens: readonly TokenPiece[]): unknown => (logprobs ? logprobs.ofChat(tokens) : null);
  if (!request.isStream) {
    const head = headOf(context, 'chatcmpl', 'chat.completion');
    const written = await Promise.all(texts.map((text) => writeChoice(context, request, text, job)));
    const choices = written.map((choice, index) => ({ index, message: messageOf(choice), logprobs: logprobsOf(choice.tokens), finish_reason: finish(choice) }));
    return { response: jsonResponse({ ...head, choices, usage: usageOf(written.map(({ result }) => result), texts.length) }) };
  }
  const head = headOf(context, 'chatcmpl', 'chat.completion.chunk');
  return eventStream(job, async (send) => {
    const usage = request.withUsage ? { usage: null } : {};
    const chunk = (index: number, delta: unknown, tokens: readonly TokenPiece[], reason: string | null): void => {
      send({ ...head, choices: [{ index, delta, logprobs: tokens.length > 0 ? logprobsOf(tokens) : null, finish_reason: reason }], ...usage });
    };
    const written = await Promise.all(texts.map(async (text, index) => {
      chunk(index, { role: 'assistant', content: '' }, [], null);
      const choice = await writeChoice(context, request, text, job, (delta, tokens) => chunk(index, delta, tokens, null));
      chunk(index, {}, [], finish(choice));
      return choice;
    }));
    if (request.withUsage) send({ ...head, choices: [], usage: usageOf(written.map(({ result }) => result), texts.length) });
  }, settings.onError);
}

/** Writes one answer. `onNews` gets its parts as soon as it is known what they are; calls of tools when all is there. */
async function writeChoice({ engine }: Context, request: ChatRequest, text: Wanted, { signal }: Job, onNews?: OnNews): Promise<WrittenChoice> {
  const { isForced, isThinking, callable, severalCalls } = request;
  const stream = new AnswerStream(isThinking, callable !== undefined);
  const tokens: TokenPiece[] = [];
  let whole = '';
  let told = 0; // tokens
  const tell = (pieces: ReturnType<AnswerStream['push']>): void => {
    for (const piece of pieces) {
      onNews!({ [piece.type === 'thinking' ? 'reasoning_content' : 'content']: piece.text }, tokens.slice(told));
      told = tokens.length;
    }
  };
  const result = await engine.write(text, (piece) => {
    whole += piece.text;
    if (piece.token) tokens.push(piece.token);
    if (onNews && !isForced) tell(stream.push(piece.text));
  }, signal);
  const { content, thinking, toolCalls = [] } = parseAnswer(whole, isThinking, callable);
  const calls = (severalCalls ? toolCalls : toolCalls.slice(0, 1)).map(({ name, arguments: given }) => ({
    id: `call_${hex(crypto.getRandomValues(new Uint8Array(12)))}`, type: 'function' as const, function: { name, arguments: JSON.stringify(given) },
  }));
  if (onNews) {
    tell(stream.finish());
    if (calls.length > 0) onNews({ tool_calls: calls.map((call, index) => ({ index, ...call })) }, tokens.slice(told));
    else if (told < tokens.length) onNews({}, tokens.slice(told));
  }
  return { content: isForced ? '' : content, thinking, calls, tokens, result }; // a call that was cut is none, and no answer either
}

function messageOf({ content, thinking, calls }: WrittenChoice): Record<string, unknown> {
  return {
    role: 'assistant', content: content === '' && calls.length > 0 ? null : content, refusal: null,
    ...(thinking === undefined || thinking === '' ? {} : { reasoning_content: thinking }),
    ...(calls.length > 0 ? { tool_calls: calls } : {}),
  };
}

function finish({ calls, result }: WrittenChoice): string {
  return calls.length > 0 ? 'tool_calls' : finishOf(result);
}
