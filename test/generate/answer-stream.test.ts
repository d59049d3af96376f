import { describe, expect, it } from 'vitest';
import { parseAnswer } from '../../src/generate/answer.js';
import { AnswerStream } from '../../src/generate/answer-stream.js';
import { freshSeed, randomFrom } from '../support/random.js';

const seed = freshSeed();
const CALL = '{"name": "f", "parameters": {"x": "{"}}';

/** What a stream gives of a text that comes in pieces. */
function streamed(text: string, isThinking: boolean, hasTools: boolean, random = randomFrom(seed)): { thinking: string; content: string } {
  const stream = new AnswerStream(isThinking, hasTools);
  const out = { thinking: '', text: '' };
  const add = (pieces: ReturnType<AnswerStream['push']>): void => { for (const piece of pieces) out[piece.type] += piece.text; };
  for (let at = 0; at < text.length; ) {
    const length = random.integer(1, 6);
    add(stream.push(text.slice(at, (at += length))));
  }
  add(stream.finish());
  return { thinking: out.thinking.trim(), content: out.text };
}

it.each([
  [CALL, ''], [` \n${CALL}`, ''], [`<|python_tag|>${CALL}`, ''], [`<think>a</think>\n\n${CALL}`, ''], // calls as Llama 3.1 has them
  ['{"name": "f"', '{"name": "f"'], ['{"a": 1}', '{"a": 1}'], ['<|python', '<|python'], [' {x} y', ' {x} y'], // what only begins like one
  ['{"name": "Ann", "age": 7}', '{"name": "Ann", "age": 7}'], ['{"name": "f"}', '{"name": "f"}'], // JSON that is no call
  ['a<tool_call>{"x"</tool_call> b', 'a<tool_call>{"x"</tool_call> b'], ['a<tool_call>', 'a<tool_call>'], ['<tool_call>{"name": "f"', '<tool_call>{"name": "f"'], // nor are these
  ['{}<tool_call>{"name": "f"}</tool_call>', '{}'], ['<tool_call>{"name": "f"}</tool_call>', ''], ['<tool_call>{"name": "f"}</tool_call><tool_call>x', '<tool_call>x'],
  ['a\n<tool_call>{"name": "f"}</tool_call>\n\n<tool_call>{"name": "f"}</tool_call>\nb', 'a\n\n\n\nb'], // text on both sides of calls
  ['<think>', ''], [' <think>', ''], ['<thin', '<thin'], // an answer that is cut at its beginning
  [`So: ${CALL}`, `So: ${CALL}`], ['a <tool_call>\n{"name": "f", "arguments": {}}\n</tool_call>', 'a '], ['  a', '  a'], ['', ''],
])(`%j with tools is streamed as %j, however it is cut (seed ${seed})`, (text, content) => {
  for (let n = 0; n < 20; n++) {
    const found = streamed(text, false, true, randomFrom(seed + n));
    expect(found.content).toBe(content);
    const whole = parseAnswer(text, false, []);
    expect(found.content.trim()).toBe(whole.content.trim());
    expect(found.thinking).toBe(whole.thinking ?? '');
  }
});

it('without tools an answer in JSON comes as it is written', () => {
  const stream = new AnswerStream(false, false);
  expect(stream.push('{"name"')).toEqual([{ type: 'text', text: '{"name"' }]);
});

it.each(['<think>', '<think>a', '<thin', 'a</think>b', '\n<think>a</think>\n\nb', ''])('%j behind a prompt that has opened the thought is streamed as it is parsed', (text) => {
  for (let n = 0; n < 20; n++) {
    const { thinking, content } = streamed(text, true, false, randomFrom(seed + n));
    const whole = parseAnswer(text, true, undefined);
    expect([thinking, content]).toEqual([whole.thinking, whole.content]);
  }
});

describe("calls in Qwen3.5's form", () => {
  const properties = { zip: { type: 'string' }, size: { enum: ['10', '20'] }, days: { type: 'integer' }, dry: { type: 'boolean' }, where: { type: 'object' }, note: { type: ['string', 'null'] } };
  const tools = [{ type: 'function', function: { name: 'weather', parameters: { type: 'object', properties } } }] as const;
  const call = (parameters: readonly (readonly [string, string])[], name = 'weather'): string =>
    `<tool_call>\n<function=${name}>\n${parameters.map(([key, value]) => `<parameter=${key}>\n${value}\n</parameter>\n`).join('')}</function>\n</tool_call>`;

  it('have texts as they are where the schema says so, and all else as JSON', () => {
    const text = call([['zip', '01234'], ['size', '10'], ['days', '3'], ['dry', 'True'], ['where', '{"x": [1]}'], ['note', 'null'], ['other', '7'], ['words', 'a\nb']]);
    expect(parseAnswer(text, false, tools)).toEqual({
      content: '', toolCalls: [{ name: 'weather', arguments: { zip: '01234', size: '10', days: 3, dry: true, where: { x: [1] }, note: null, other: 7, words: 'a\nb' } }],
    });
    // A number that JSON takes, a word, an empty text.
    for (const zip of ['12', 'true', 'null', '"x"', '', '{"a":1}']) expect(parseAnswer(call([['zip', zip]]), false, tools).toolCalls![0]!.arguments).toEqual({ zip });
    expect(parseAnswer(call([['zip', '12']], 'unknown'), false, tools).toolCalls).toEqual([{ name: 'unknown', arguments: { zip: 12 } }]);
    const odd = parseAnswer(call([['__proto__', '{"a": 1}'], ['constructor', '2']]), false, tools).toolCalls![0]!.arguments;
    expect(Object.entries(odd)).toEqual([['__proto__', { a: 1 }], ['constructor', 2]]);
  });
});
