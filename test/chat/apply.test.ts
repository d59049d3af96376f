import { describe, expect, it } from 'vitest';
import { ChatTemplateError, convert, convertToSafetensors, MatMulFreeLM, Tokenizer } from 'matmulfree';
import { json, type Files } from '../support/checkpoints.js';
import { CHAT_MODELS, chatTokenizer, QWEN_LIKE } from '../support/chat.js';

const MESSAGES = [{ role: 'system', content: 'be brief' }, { role: 'user', content: 'what' }];
const PROMPT = '<|im_start|>system\nbe brief<|im_end|>\n<|im_start|>user\nwhat<|im_end|>\n';
const ANSWER = '<|im_start|>assistant\n';
const NAMED = '{% for m in messages %}{{ m.content }}{% endfor %}{{ eos_token }}';
const text = (source: string): Uint8Array => new TextEncoder().encode(source);

/** The forms in which a model comes with a template. */
const FORMS: readonly { readonly name: string; readonly files: Files }[] = [
  { name: 'chat_template.jinja', files: { 'chat_template.jinja': text(QWEN_LIKE) } },
  { name: 'tokenizer_config.json', files: { 'tokenizer_config.json': json({ chat_template: QWEN_LIKE }) } },
  { name: 'several in tokenizer_config.json', files: { 'tokenizer_config.json': json({ eos_token: '<|im_end|>', chat_template: [{ name: 'tool_use', template: NAMED }, { name: 'default', template: QWEN_LIKE }] }) } },
  { name: 'additional_chat_templates', files: { 'chat_template.jinja': text(QWEN_LIKE), 'additional_chat_templates/tool_use.jinja': text(NAMED), 'tokenizer_config.json': json({ eos_token: '<|im_end|>' }) } },
];

describe.each(FORMS)('a template in $name', ({ files, name }) => {
  const model: Files = { ...CHAT_MODELS[1]!.files(7), ...files };
  const hasTools = name !== 'chat_template.jinja' && name !== 'tokenizer_config.json';

  async function check(source: Files | Blob): Promise<void> {
    const lm = await MatMulFreeLM.load(source, { threads: 1 });
    const { tokenizer } = lm;
    expect(lm.hasChatTemplate).toBe(true);
    expect(await tokenizer.applyChatTemplate(MESSAGES)).toBe(PROMPT);
    expect(await tokenizer.applyChatTemplate(MESSAGES, { addGenerationPrompt: true })).toBe(PROMPT + ANSWER);
    expect(await tokenizer.applyChatTemplate(MESSAGES, { addGenerationPrompt: true, enableThinking: false })).toBe(`${PROMPT}${ANSWER}<think>\n\n</think>\n\n`);
    const tools = [{ type: 'function' as const, function: { name: 'f' } }];
    expect(await tokenizer.applyChatTemplate(MESSAGES, { tools })).toBe(hasTools ? 'be briefwhat<|im_end|>' : PROMPT);
    expect(await tokenizer.applyChatTemplate(MESSAGES, { chatTemplate: '{{ messages[1].content }}!' })).toBe('what!');
    const ids = tokenizer.encode(PROMPT + ANSWER, { addSpecialTokens: false });
    const options = { maxNewTokens: 5, temperature: 0 };
    const answer = await lm.complete(MESSAGES, options);
    expect(answer.promptTokens).toBe(ids.length);
    expect(answer.text).toBe((await lm.complete(ids, { ...options, eosTokenIds: [tokenizer.tokenToId('<|im_end|>')!] })).text);
    const batch = await lm.generateBatch([MESSAGES, { prompt: MESSAGES, temperature: 0 }], options);
    expect(batch.map((each) => each.text)).toEqual([answer.text, answer.text]);
    expect((await lm.beamSearch(MESSAGES, { numBeams: 1, maxNewTokens: 5 }))[0]!.text).toBe(answer.text);
    await lm.dispose();
  }

  it('is what messages are written by', () => check(model));

  it('is in what the model is converted to', async () => {
    const gguf: Uint8Array[] = [];
    for await (const bytes of convert(model)) gguf.push(bytes);
    await check(new Blob(gguf as BlobPart[]));
    const folder: Record<string, Uint8Array[]> = {};
    for await (const { file, bytes } of convertToSafetensors(model)) (folder[file] ??= []).push(bytes);
    await check(Object.fromEntries(Object.entries(folder).map(([file, parts]) => [file, new Uint8Array(Buffer.concat(parts))])));
  });
});

describe('without one', () => {
  it('messages are refused, and how to give a template is said; one given to load is used', async () => {
    const files = CHAT_MODELS[0]!.files(7);
    const lm = await MatMulFreeLM.load(files, { threads: 1 });
    expect(lm.hasChatTemplate).toBe(false);
    const advice = /the model has no chat template; give load one, as option chatTemplate/;
    await expect(lm.complete(MESSAGES)).rejects.toThrow(advice);
    await expect(lm.generateBatch([MESSAGES])).rejects.toThrow(advice);
    expect(() => lm.chat()).toThrow(advice);
    await expect(lm.tokenizer.applyChatTemplate(MESSAGES)).rejects.toThrow(/applyChatTemplate: the tokenizer has no chat template; give one as option chatTemplate/);
    await lm.dispose();
    const chatting = await MatMulFreeLM.load(files, { threads: 1, chatTemplate: QWEN_LIKE });
    expect(await chatting.tokenizer.applyChatTemplate(MESSAGES)).toBe(PROMPT);
    expect((await chatting.complete(MESSAGES, { maxNewTokens: 3 })).newTokens).toBeGreaterThan(0);
    await chatting.dispose();
    await expect(MatMulFreeLM.load(files, { threads: 1, chatTemplate: 5 as never })).rejects.toThrow(/load: option chatTemplate is 5, not a text/);
  });

  it('one that cannot be read is an error where it is used; texts are written all the same', async () => {
    const lm = await MatMulFreeLM.load(CHAT_MODELS[0]!.files(7), { threads: 1, chatTemplate: '{% for %}' });
    expect((await lm.complete('ab', { maxNewTokens: 2 })).newTokens).toBeGreaterThan(0);
    await expect(lm.complete(MESSAGES)).rejects.toThrow(ChatTemplateError);
    await lm.dispose();
  });

  it('a tokenizer alone knows that of its tokenizer_config.json', async () => {
    const tokenizer = await Tokenizer.fromJSON(JSON.parse(new TextDecoder().decode(chatTokenizer)), { config: { chat_template: QWEN_LIKE } });
    expect(await tokenizer.applyChatTemplate(MESSAGES)).toBe(PROMPT);
  });
});
