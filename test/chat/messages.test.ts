import { describe, expect, it } from 'vitest';
import { ArgumentError, ChatTemplateError } from 'matmulfree';
import { compileTemplate } from '../../src/chat/compile.js';
import { chatVariables, type ChatMessage, type ConversationOptions } from '../../src/chat/messages.js';
import { chatTemplateOf } from '../../src/chat/template-sources.js';
import { LLAMA3, QWEN3 } from '../support/chat-templates.js';

const TALK: ChatMessage[] = [
  { role: 'system', content: 'S' }, { role: 'user', content: 'U1' }, { role: 'assistant', content: 'A1' }, { role: 'user', content: 'U2' },
];
const render = (template: string, messages: readonly ChatMessage[], options?: ConversationOptions): string => compileTemplate(template).render(chatVariables(messages, options));

describe('a conversation', () => {
  it('in the form of Qwen3, with and without thoughts', () => {
    const asked = '<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nU1<|im_end|>\n<|im_start|>assistant\nA1<|im_end|>\n<|im_start|>user\nU2<|im_end|>\n';
    expect(render(QWEN3, TALK)).toBe(`${asked}<|im_start|>assistant\n`);
    expect(render(QWEN3, TALK, { enableThinking: false })).toBe(`${asked}<|im_start|>assistant\n<think>\n\n</think>\n\n`);
    expect(render(QWEN3, TALK, { addGenerationPrompt: false })).toBe(asked);
    // What was thought before the last question is left out, by either name and within the text.
    for (const thought of [{ thinking: 'T' }, { reasoning_content: 'T' }]) {
      const last = { role: 'assistant', content: 'A2', ...thought };
      expect(render(QWEN3, [...TALK, last], { addGenerationPrompt: false })).toBe(`${asked}<|im_start|>assistant\n<think>\nT\n</think>\n\nA2<|im_end|>\n`);
      expect(render(QWEN3, [...TALK, last, { role: 'user', content: 'U3' }], { addGenerationPrompt: false })).toBe(`${asked}<|im_start|>assistant\nA2<|im_end|>\n<|im_start|>user\nU3<|im_end|>\n`);
    }
    const within = { role: 'assistant', content: '<think>\nT\n</think>\n\nA2' };
    expect(render(QWEN3, [...TALK, within], { addGenerationPrompt: false })).toBe(`${asked}<|im_start|>assistant\n<think>\nT\n</think>\n\nA2<|im_end|>\n`);
  });

  it('with tools, calls in either form, and their results', () => {
    const tool = { name: 'get_weather', parameters: { type: 'object', properties: { city: { type: 'string' } } } };
    const wrapped = { type: 'function', function: tool } as const;
    const calls = [{ function: { name: 'get_weather', arguments: { city: 'Paris' } } }, { name: 'get_weather', arguments: '{"city":"Rome"}' }];
    const messages: ChatMessage[] = [
      { role: 'user', content: 'Q' }, { role: 'assistant', content: null, tool_calls: calls }, { role: 'tool', content: '12' }, { role: 'tool', content: '20' },
    ];
    const text = render(QWEN3, messages, { tools: [tool] });
    expect(text).toBe(render(QWEN3, messages, { tools: [wrapped] }));
    expect(text).toBe(
      `<|im_start|>system\n# Tools\n\n<tools>\n{"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}}\n</tools><|im_end|>\n`
      + '<|im_start|>user\nQ<|im_end|>\n<|im_start|>assistant\n'
      + '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Paris"}}\n</tool_call>\n<tool_call>\n{"name": "get_weather", "arguments": {"city":"Rome"}}\n</tool_call><|im_end|>\n'
      + '<|im_start|>user\n<tool_response>\n12\n</tool_response>\n<tool_response>\n20\n</tool_response><|im_end|>\n<|im_start|>assistant\n');
  });

  it('in the form of Llama 3, which may refuse it', () => {
    const turn = (role: string, text: string): string => `<|start_header_id|>${role}<|end_header_id|>\n\n${text}`;
    const tokens = { bos_token: '<|begin_of_text|>' };
    expect(render(LLAMA3, TALK, { tokens })).toBe(
      `<|begin_of_text|>${turn('system', 'S')}<|eot_id|>${turn('user', 'U1')}<|eot_id|>${turn('assistant', 'A1')}<|eot_id|>${turn('user', 'U2')}<|eot_id|>${turn('assistant', '')}`);
    expect(() => render(LLAMA3, [TALK[2]!], { tokens })).toThrow(ChatTemplateError);
    expect(() => render(LLAMA3, [TALK[2]!], { tokens })).toThrow(/^chat template, line 15: the template says: roles must alternate, user first$/);
  });

  it('in the form of BitNet, where its file has another one', () => {
    const wrong = "{% for m in messages %}{{ 'Human: ' + m.content + '\\n\\nBITNETAssistant: ' }}{% endfor %}";
    for (const texts of [{ jinja: wrong }, { tokenizerConfig: { chat_template: wrong } }, { metadata: new Map([['tokenizer.chat_template', { type: 'string', value: wrong } as const]]) }]) {
      const source = chatTemplateOf(texts).get('default')!;
      expect(render(source, [{ role: 'system', content: 'You are terse.' }, { role: 'user', content: ' Hi there\n' }])).toBe('System: You are terse.<|eot_id|>User: Hi there<|eot_id|>Assistant: ');
      expect(render(source, [{ role: 'user', content: 'U' }, { role: 'ASSISTANT', content: null }], { addGenerationPrompt: false })).toBe('User: U<|eot_id|>Assistant: <|eot_id|>');
    }
  });

  it('has what transformers gives a template', () => {
    expect(chatVariables([{ role: 'user', content: [{ type: 'text', text: 'a' }, { type: 'text', text: 'b' }], name: 'N' }], { tokens: { eos_token: '</s>' }, variables: { date_string: 'D' } })).toEqual({
      messages: [{ role: 'user', content: 'a\nb', name: 'N' }], tools: null, documents: null, add_generation_prompt: true, eos_token: '</s>', date_string: 'D',
    });
    expect(render('{{ enable_thinking is defined }}{{ tools is none }}', TALK, { tools: [] })).toBe('FalseTrue');
  });

  it.each<[unknown, ConversationOptions | undefined, string]>([
    ['Hi', {}, 'messages is "Hi", not a list'],
    [[], {}, 'messages is empty: give at least one message'],
    [[TALK[0], 'Hi'], {}, "messages[1] is \"Hi\", not a message such as { role: 'user', content: 'Hi' }"],
    [[{ content: 'Hi' }], {}, "messages[0].role is undefined, not a role such as 'user'"],
    [[{ role: 'user', content: 5 }], {}, 'messages[0].content is 5, neither a text nor a list of parts'],
    [[{ role: 'user', content: [{ type: 'image_url' }] }], {}, "messages[0].content[0] is of the type \"image_url\"; this library reads parts such as { type: 'text', text: 'Hi' } alone"],
    [[{ role: 'user', thinking: {} }], {}, 'messages[0].thinking is an object, not a text'],
    [[{ role: 'user', tool_calls: [{}] }], {}, 'messages[0].tool_calls[0]: has no name, neither in function nor beside it'],
    [TALK, { tools: ['f' as never] }, 'tools[0] is "f", not an object with a name'],
  ])('%j is refused', (messages, options, message) => {
    expect(() => chatVariables(messages as ChatMessage[], options)).toThrow(new ArgumentError(message));
  });
});
