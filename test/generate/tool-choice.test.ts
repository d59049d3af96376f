import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ArgumentError, type ChatResult, type MatMulFreeLM, type Tool } from 'matmulfree';
import { CONTROL_IDS, loadChat, recurrentFiles, TEMPLATE, transformerFiles } from '../server/support.js';

const parameters = { type: 'object', properties: { city: { enum: ['Rome', 'Oslo'] }, days: { $ref: '#/$defs/days' } }, required: ['city', 'days'], additionalProperties: false, $defs: { days: { type: 'integer', minimum: 1, maximum: 9 } } };
const TOOLS: readonly Tool[] = [{ type: 'function', function: { name: 'weather', parameters } }, { name: 'now' }];
const HI = [{ role: 'user', content: 'Hi' }];
const OPTIONS = { tools: TOOLS, temperature: 1, maxNewTokens: 300 };

async function last(answer: AsyncGenerator<string, ChatResult, undefined>): Promise<ChatResult & { readonly said: string }> {
  let said = '';
  for (;;) {
    const { done, value } = await answer.next();
    if (done) return { ...value, said };
    said += value;
  }
}

function check(calls: readonly { readonly name: string; readonly arguments: Readonly<Record<string, unknown>> }[] | undefined, name?: string): void {
  expect(calls).toHaveLength(1);
  const [call] = calls!;
  if (name) expect(call!.name).toBe(name);
  if (call!.name === 'weather') {
    const { city, days, ...rest } = call!.arguments as { city: string; days: number };
    expect([['Rome', 'Oslo'].includes(city), Number.isInteger(days) && days >= 1 && days <= 9, rest]).toEqual([true, true, {}]);
  } else expect(call).toEqual({ name: 'now', arguments: {} });
}

describe.each([['a recurrent model', recurrentFiles], ['a Transformer', transformerFiles]] as const)('toolChoice of %s', (_, files) => {
  let lm: MatMulFreeLM;
  beforeAll(async () => {
    lm = await loadChat(files());
  });
  afterAll(() => lm.dispose());

  it('makes an answer a call that is valid by the schema, in a completion and in a conversation', async () => {
    for (let seed = 0; seed < 3; seed++) {
      const { text, toolCalls, thinking, finishReason } = await lm.complete(HI, { ...OPTIONS, toolChoice: 'required', seed });
      check(toolCalls);
      expect([text, thinking, finishReason]).toEqual(['', undefined, 'complete']);
      const chat = lm.chat({ ...OPTIONS, seed });
      const answer = await last(chat.say('Hi', { toolChoice: { name: 'weather' } }));
      check(answer.toolCalls, 'weather');
      expect(answer).toMatchObject({ said: '', content: '' });
      expect(chat.messages.at(-1)).toMatchObject({ role: 'assistant', content: '', tool_calls: [{ name: 'weather' }] });
      // It goes on as a conversation that was given with this call in it.
      const given = lm.chat({ ...OPTIONS, seed, messages: chat.messages });
      const result = { role: 'tool', content: 'rain' };
      const quiet = { maxNewTokens: 12, bannedTokens: CONTROL_IDS };
      expect((await last(chat.say(result, quiet))).said).toBe((await last(given.say(result, quiet))).said);
      expect(chat.messages).toEqual(given.messages);
    }
  });

  it('closes a thought that the template opens in any case', async () => {
    const opening = await loadChat(files(), { chatTemplate: TEMPLATE.replace(/\{% if enable_thinking is defined[^]*$/, '<think>\n{%- endif -%}') });
    const { toolCalls, thinking, text } = await opening.complete(HI, { ...OPTIONS, toolChoice: 'required', seed: 1 });
    check(toolCalls);
    expect([thinking, text]).toEqual([undefined, '']);
    await opening.dispose();
  });

  it("is bare, with parameters, where the template writes calls so, as Llama 3.1's does", async () => {
    const bare = `{% for m in messages %}{{ m.role }}: {% for c in m.tool_calls or [] %}{"name": "{{ c.function.name }}", "parameters": {{ c.function.arguments | tojson }}}{% endfor %}{{ m.content }}
{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}`;
    const llama = await loadChat(files(), { chatTemplate: bare });
    let raw = '';
    for await (const piece of llama.generate(HI, { tools: TOOLS, seed: 2, maxNewTokens: 0 })) raw += piece;
    expect(raw).toBe('');
    const chat = llama.chat({ ...OPTIONS, seed: 2 });
    check((await last(chat.say('Hi', { toolChoice: { name: 'weather' } }))).toolCalls, 'weather');
    await llama.dispose();
  });

  it("'none' is an answer without tools, 'auto' one as without the option", async () => {
    const options = { temperature: 1, seed: 5, maxNewTokens: 20, bannedTokens: CONTROL_IDS };
    const plain = await lm.complete(HI, options);
    expect((await lm.complete(HI, { ...options, tools: TOOLS, toolChoice: 'none' })).text).toBe(plain.text);
    expect((await lm.complete(HI, { ...options, tools: TOOLS, toolChoice: 'auto' })).text).toBe((await lm.complete(HI, { ...options, tools: TOOLS })).text);
  });

  it('refuses by name what cannot be, and the conversation is as before', async () => {
    const chat = lm.chat({ maxNewTokens: 5 });
    const wrong: readonly [object, RegExp][] = [
      [{ toolChoice: 'any', tools: TOOLS }, /toolChoice is "any", not 'auto', 'none', 'required' or \{ name \}/], [{ toolChoice: 'required' }, /toolChoice .*there are no tools/],
      [{ toolChoice: { name: 'x' }, tools: TOOLS }, /toolChoice .*"x" is none of the tools/], [{ toolChoice: { name: 7 }, tools: TOOLS }, /toolChoice is/],
      [{ toolChoice: 'required', tools: TOOLS, constraint: { choices: ['a'] } }, /toolChoice and constraint/],
      [{ toolChoice: 'required', tools: [{ type: 'function', function: { name: 'f', parameters: { not: {} } } }] }, /not/],
    ];
    for (const [options, message] of wrong) {
      for (const act of [() => last(chat.say('a', options)), () => lm.complete(HI, options)]) {
        const error = await act().then(() => undefined, (thrown: unknown) => thrown);
        expect(error).toBeInstanceOf(ArgumentError);
        expect((error as Error).message).toMatch(message);
      }
      expect([chat.messages, chat.tokens]).toEqual([[], 0]);
    }
    await expect(lm.complete('Hi', { toolChoice: 'required' })).rejects.toThrow(/complete: option toolChoice is for a prompt of messages/);
  });
});
