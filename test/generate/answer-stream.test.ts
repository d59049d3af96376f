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
