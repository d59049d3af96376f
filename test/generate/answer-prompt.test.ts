import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ArgumentError, type ChatOptions, type MatMulFreeLM, type Tool } from 'matmulfree';
import { json } from '../support/checkpoints.js';
import { Client, CONTROL_IDS, HI, loadChat, recurrentFiles, TEMPLATE } from '../server/support.js';

/** Looks like a call of a tool named Ann. */
const schema = { type: 'object', properties: { name: { const: 'Ann' }, parameters: { enum: [{ a: 1 }, { a: 2 }] } }, required: ['name', 'parameters'], additionalProperties: false };
const TOOLS: readonly Tool[] = [{ type: 'function', function: { name: 'Ann', parameters: { type: 'object' } } }];
const OPTIONS = { maxNewTokens: 100, temperature: 1, seed: 3 };
/** As Qwen3.5's: the thought is opened in any case. */
const OPENING = TEMPLATE.replace(/\{% if enable_thinking is defined[^]*$/, '<think>\n{%- endif -%}');

async function ask(lm: MatMulFreeLM, options: ChatOptions): Promise<{ text: string; last: unknown }> {
  const chat = lm.chat({ ...OPTIONS, ...options });
  let text = '';
  for await (const piece of chat.say('Hi')) text += piece;
  return { text, last: chat.messages.at(-1) };
}

describe.each([['which knows enable_thinking', TEMPLATE], ['which opens a thought in any case', OPENING]])('what is constrained is the answer, by a template %s', (_, chatTemplate) => {
  let lm: MatMulFreeLM;
  beforeAll(async () => { lm = await loadChat(undefined, { chatTemplate }); });
  afterAll(() => lm.dispose());

  it.each([undefined, true, false])('with enableThinking %s and tools: it is no thought, and no call', async (enableThinking) => {
    const constraint = { jsonSchema: schema };
    const options = { enableThinking, constraint, tools: TOOLS };
    const whole = await lm.complete(HI, { ...OPTIONS, ...options });
    expect(JSON.parse(whole.text)).toMatchObject({ name: 'Ann', parameters: { a: expect.any(Number) as number } });
    expect([whole.thinking, whole.toolCalls, whole.finishReason]).toEqual([undefined, undefined, 'complete']);
    expect(await ask(lm, options)).toEqual({ text: whole.text, last: { role: 'assistant', content: whole.text } });
    let written = '';
    for await (const piece of lm.generate(HI, { ...OPTIONS, ...options })) written += piece;
    expect(written).toBe(whole.text);
    const [batched] = await lm.generateBatch([HI], { ...OPTIONS, ...options });
    expect(batched!.text).toBe(whole.text);
  });

  it('behind a server, whole and streamed, the same', async () => {
    const client = new Client(lm);
    const body = { messages: HI, seed: 3, max_tokens: 100, tools: TOOLS, response_format: { type: 'json_schema', json_schema: { name: 'x', schema } } };
    const { text } = await lm.complete(HI, { ...OPTIONS, enableThinking: false, constraint: { jsonSchema: schema }, tools: TOOLS });
    const { body: { choices } } = await client.chat(body);
    expect(choices).toMatchObject([{ message: { content: text }, finish_reason: 'stop' }]);
    expect(choices[0]!.message.tool_calls).toBeUndefined();
    const events = await client.stream('/v1/chat/completions', body);
    expect(events.map((event) => event.choices[0]!.delta.content ?? '').join('')).toBe(text);
  });

  it('a call that was asked for and is cut leaves nothing of the end of the thought', async () => {
    const { body: { choices } } = await new Client(lm).chat({ max_tokens: 4, tools: TOOLS, tool_choice: 'required' });
    expect(choices[0]!.message).toEqual({ role: 'assistant', content: '', refusal: null });
  });

  it('refuses options that are none, and a prompt that is empty', async () => {
    const wrong: readonly [object, RegExp][] = [
      [{ enableThinking: 'yes' }, /option enableThinking is "yes", not true or false/], [{ templateVariables: 'x' }, /option templateVariables is "x", not an object/],
      [{ toolChoice: 'required', tools: [null] }, /tools\[0\] is null/], [{ toolChoice: { name: 'f' }, tools: 'f' }, /tools is "f", not a list/], [{ toolChoice: 'required', tools: [{}] }, /tools\[0\]: has no name/],
    ];
    for (const [options, message] of wrong) {
      for (const act of [() => ask(lm, options), () => lm.complete(HI, options)]) {
        const error = await act().then(() => undefined, (thrown: unknown) => thrown);
        expect(error).toBeInstanceOf(ArgumentError);
        expect((error as Error).message).toMatch(message);
      }
    }
    await expect(lm.complete([{ content: 'x' }] as never)).rejects.toThrow(/messages\[0\].role is undefined, not a role/);
    expect(() => lm.chat({ messages: 'Hi' as never })).toThrow(/chat: option messages is "Hi", not a list/);
    await expect(lm.complete(HI, { bannedTokens: CONTROL_IDS, maxNewTokens: 1, templateVariables: { x: 1 } })).resolves.toBeTruthy();
  });
});

it('a template that writes nothing is said to, and a message that no file can hold', async () => {
  const lm = await loadChat(undefined, { chatTemplate: '{{ messages[0].content }}' });
  const nothing = /the chat template writes nothing for these messages/;
  await expect(ask(lm, { messages: [{ role: 'user', content: '' }] })).rejects.toThrow(nothing);
  await expect(lm.complete([{ role: 'user', content: '' }])).rejects.toThrow(nothing);
  expect((await new Client(lm).chat({ messages: [{ role: 'user', content: '' }] })).body.error.message).toMatch(nothing);
  // Nobody opens a thought for the model by saying so.
  expect((await lm.complete([{ role: 'user', content: '<think>' }], { maxNewTokens: 3, bannedTokens: CONTROL_IDS })).thinking).toBeUndefined();
  expect(() => lm.chat({ messages: [{ role: 'user', content: 'a', size: 1n }] }).save()).toThrow(ArgumentError);
  lm.dispose();
});

it('messages that follow a text get no token of its beginning', async () => {
  const files = recurrentFiles();
  const tokenizer = JSON.parse(new TextDecoder().decode(files['tokenizer.json'] as Uint8Array)) as object;
  const config = json({ bos_token: 'B' });
  const starting = json({ ...tokenizer, post_processor: { type: 'TemplateProcessing', single: [{ SpecialToken: { id: 'B', type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }], pair: [], special_tokens: { B: { id: 'B', ids: [35], tokens: ['B'] } } } });
  const lm = await loadChat({ ...files, 'tokenizer.json': starting, 'tokenizer_config.json': config });
  const bos = lm.tokenizer.encode('')[0]!;
  const plain = lm.tokenizer.encode(await lm.tokenizer.applyChatTemplate(HI, { addGenerationPrompt: true }), { addSpecialTokens: false });
  const written = async (prompt: readonly number[] | typeof HI, before: readonly number[]): Promise<string> => {
    const state = lm.createState();
    if (before.length > 0) lm.forward(before, state);
    let text = '';
    for await (const piece of lm.generate(prompt, { state, temperature: 1, seed: 1, maxNewTokens: 20, eosTokenIds: [] })) text += piece;
    return `${state.tokens}: ${text}`;
  };
  expect(await written(HI, [5, 6])).toBe(await written(plain, [5, 6]));
  expect(await written(HI, [])).toBe(await written([bos, ...plain], []));
  lm.dispose();
});
