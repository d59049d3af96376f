import { expect, it } from 'vitest';
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
  ['<think>', ''], [' <think>', ''], ['<thin', '<thin'], // an answer that is cut at its beginning
  [`So: ${CALL}`, `So: ${CALL}`], ['a <tool_call>\n{"name": "f", "arguments": {}}\n</tool_call>', 'a '], ['  a', '  a'], ['', ''],
])(`%j with tools is streamed as %j, however it is cut (seed ${seed})`, (text, content) => {
  for (let n = 0; n < 20; n++) {
    const found = streamed(text, false, true, randomFrom(seed + n));
    expect(found.content).toBe(content);
    const whole = parseAnswer(text, false, true);
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
    const whole = parseAnswer(text, true, false);
    expect([thinking, content]).toEqual([whole.thinking, whole.content]);
  }
});
