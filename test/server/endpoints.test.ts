import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ArgumentError, TokenizerError, type MatMulFreeLM } from 'matmulfree';
import { createHandler } from 'matmulfree/server';
import { tinyCheckpoint } from '../support/checkpoints.js';
import { collect } from '../generate/support.js';
import { Client, CONTROL_IDS, HI, loadChat, recurrentFiles, type Choice } from './support.js';

/** Without control tokens, which are not told as text. */
const PLAIN = { logit_bias: Object.fromEntries(CONTROL_IDS.map((id) => [id, -100])) };
const plainFor = (options: object): object => ({ temperature: 1, logitBias: CONTROL_IDS.map((id) => [id, -100] as const), ...options });

const TOOLS = [
  { type: 'function', function: { name: 'get_weather', description: 'w', parameters: { type: 'object', properties: { city: { type: 'string', maxLength: 8 }, days: { $ref: '#/$defs/days' } }, required: ['city', 'days'], $defs: { days: { type: 'integer', minimum: 1, maximum: 9 } } } } },
  { type: 'function', function: { name: 'now', parameters: { type: 'object', properties: {}, additionalProperties: false } } },
];

let lm: MatMulFreeLM;
let client: Client;
beforeAll(async () => {
  lm = await loadChat();
  client = new Client(lm, { modelName: 'tiny' });
});
afterAll(() => lm.dispose());

describe('GET', () => {
  it('models, one model, health; with and without /v1; HEAD has no body', async () => {
    for (const path of ['/v1/models', '/models', '/v1/models/']) {
      const { status, body } = await client.ask(path);
      expect(status).toBe(200);
      expect(body).toMatchObject({ object: 'list', data: [{ id: 'tiny', object: 'model', owned_by: 'matmulfree' }] });
    }
    expect((await client.ask('/v1/models/tiny')).body).toMatchObject({ id: 'tiny' });
    expect((await client.ask('/v1/models/gpt')).status).toBe(404);
    expect((await client.ask('/health')).body).toEqual({ status: 'ok' });
    const head = await client.ask('/v1/models', undefined, { method: 'HEAD' });
    expect([head.status, head.body, head.headers.get('content-type')]).toEqual([200, undefined, 'application/json']);
  });

  it('names what it refuses by the path that was asked for', async () => {
    for (const path of ['/v1/responses', '/responses/', '/v1/']) {
      expect(await client.ask(path)).toMatchObject({ status: 404, body: { error: { message: `there is nothing at "${path}"`, code: 'unknown_url' } } });
    }
    for (const [path, methods] of [['/v1/completions', 'POST, OPTIONS'], ['/completions/', 'POST, OPTIONS'], ['/health', 'GET, HEAD, OPTIONS']]) {
      expect((await client.ask(path!, undefined, { method: 'PUT' })).body.error.message).toBe(`"${path}" takes ${methods}, not "PUT"`);
    }
  });
});

describe('POST /v1/chat/completions', () => {
  it('answers as lm.complete does, once or n times', async () => {
    const { status, body } = await client.chat({ model: 'tiny', max_tokens: 12, seed: 7, n: 3, ...PLAIN });
    expect(status).toBe(200);
    expect(body).toMatchObject({ object: 'chat.completion', model: 'tiny', usage: { prompt_tokens: 21 } });
    expect(body.id).toMatch(/^chatcmpl-[0-9a-f]{24}$/);
    let written = 0;
    for (const [n, choice] of body.choices.entries()) {
      const alone = await lm.complete(HI, plainFor({ maxNewTokens: 12, seed: 7 + n }));
      written += alone.newTokens;
      expect(choice).toMatchObject({ index: n, message: { role: 'assistant', content: alone.text }, finish_reason: alone.finishReason === 'eos' ? 'stop' : 'length', logprobs: null });
    }
    expect(body.usage).toMatchObject({ completion_tokens: written, total_tokens: 21 + written });
  });

  it('streams the same, with usage at the end where it is asked for', async () => {
    const asked = { messages: HI, max_completion_tokens: 12, seed: 7, n: 2, ...PLAIN };
    const whole = (await client.chat(asked)).body;
    const events = await client.stream('/v1/chat/completions', { ...asked, stream_options: { include_usage: true } });
    expect(events.at(-1)).toMatchObject({ choices: [], usage: { prompt_tokens: whole.usage.prompt_tokens, completion_tokens: whole.usage.completion_tokens } });
    for (const [n, choice] of whole.choices.entries()) {
      const mine = events.slice(0, -1).map((event) => event.choices[0]!).filter((each) => each.index === n);
      expect(mine[0]).toMatchObject({ delta: { role: 'assistant', content: '' }, finish_reason: null });
      expect(mine.map((each) => each.delta.content ?? '').join('')).toBe(choice.message.content);
      expect(mine.at(-1)).toMatchObject({ delta: {}, finish_reason: choice.finish_reason });
    }
    expect(new Set(events.map((event) => event.id)).size).toBe(1);
  });

  it('tells log-probabilities as generateTokens does, whole and streamed', async () => {
    const asked = { messages: HI, max_tokens: 9, seed: 3, logprobs: true, top_logprobs: 2, ...PLAIN };
    const { all } = await collect(lm.generateTokens(HI, plainFor({ maxNewTokens: 9, seed: 3, topLogprobs: 2 })));
    const expected = all.map(({ text, logprob, topLogprobs }) => ({ token: text, logprob, bytes: [...Buffer.from(text)], top_logprobs: topLogprobs.map((top) => expect.objectContaining({ logprob: top.logprob }) as unknown) }));
    expect((await client.chat(asked)).body.choices[0]!.logprobs!.content).toEqual(expected);
    const events = await client.stream('/v1/chat/completions', asked);
    expect(events.flatMap((event) => event.choices[0]!.logprobs?.content ?? [])).toEqual(expected);
  });

  it('takes what there is of sampling', async () => {
    const { text } = await lm.complete(HI, plainFor({ maxNewTokens: 20, seed: 2, topP: 0.9, topK: 20, minP: 0.01, typicalP: 0.95, frequencyPenalty: 0.5, presencePenalty: 0.5, repetitionPenalty: 1.1 }));
    const { body } = await client.chat({ max_tokens: 20, seed: 2, top_p: 0.9, top_k: 20, min_p: 0.01, typical_p: 0.95, frequency_penalty: 0.5, presence_penalty: 0.5, repetition_penalty: 1.1, ...PLAIN });
    expect(body.choices[0]!.message.content).toBe(text);
    const stopped = (await client.chat({ max_tokens: 20, seed: 2, stop: [text[5]!, 'never'], ...PLAIN, temperature: 0 })).body.choices[0]!;
    const greedy = (await lm.complete(HI, plainFor({ maxNewTokens: 20, temperature: 0, stop: [text[5]!, 'never'] }))).text;
    expect(stopped.message.content).toBe(greedy);
    expect((await client.chat({ max_tokens: 0 })).body.choices[0]).toMatchObject({ message: { content: '' }, finish_reason: 'length' });
  });

  it('holds answers to a schema', async () => {
    const schema = { type: 'object', properties: { a: { type: 'integer', minimum: 1, maximum: 9 } }, required: ['a'] };
    for (const response_format of [{ type: 'json_schema', json_schema: { name: 'x', strict: true, schema } }, { type: 'json_object' }]) {
      const asked = { messages: HI, max_tokens: 400, seed: 5, response_format, temperature: 0.3 };
      const { status, body } = await client.chat(asked);
      expect(status, JSON.stringify(body)).toBe(200);
      const choice = body.choices[0]!;
      if (choice.finish_reason === 'length') continue; // an object of its own devising
      const value = JSON.parse(choice.message.content!) as { a: number };
      if (response_format.type === 'json_schema') expect(value.a).toBeLessThan(10);
      const events = await client.stream('/v1/chat/completions', asked);
      expect(events.map((event) => event.choices[0]!.delta.content ?? '').join('')).toBe(choice.message.content);
    }
    expect((await client.chat({ response_format: { type: 'text' }, max_tokens: 1 })).status).toBe(200);
    expect((await client.chat({ response_format: { type: 'json_schema', json_schema: { schema: { type: 'string', format: 'uri' } } } })).body.error).toMatchObject({ param: 'response_format.json_schema.schema', message: expect.stringContaining('format') as string });
  });

  it('calls a tool where it has to: always valid, whole and streamed', async () => {
    for (const [tool_choice, known] of [['required', ['get_weather', 'now']], [{ type: 'function', function: { name: 'get_weather' } }, ['get_weather']]] as const) {
      for (let seed = 0; seed < 4; seed++) {
        const asked = { messages: HI, tools: TOOLS, tool_choice, max_tokens: 300, seed };
        const choice = (await client.chat(asked)).body.choices[0]!;
        expect(choice).toMatchObject({ finish_reason: 'tool_calls', message: { content: null, tool_calls: [{ type: 'function' }] } });
        const call = choice.message.tool_calls![0]!;
        expect(call.id).toMatch(/^call_/);
        expect(known).toContain(call.function.name);
        const args = JSON.parse(call.function.arguments) as { city: string; days: number };
        if (call.function.name === 'get_weather') expect([typeof args.city, args.days >= 1 && args.days <= 9]).toEqual(['string', true]);
        else expect(args).toEqual({});
        const events = await client.stream('/v1/chat/completions', asked);
        const deltas = events.map((event) => event.choices[0]!.delta);
        expect(deltas.map((delta) => delta.content ?? '').join('')).toBe('');
        expect(deltas.filter((delta) => delta.tool_calls)).toMatchObject([{ tool_calls: [{ index: 0, type: 'function', function: call.function }] }]);
        expect(events.at(-1)!.choices[0]).toMatchObject({ finish_reason: 'tool_calls' });
      }
    }
    // Cut before its end it is none.
    const cut = (await client.chat({ tools: TOOLS, tool_choice: 'required', max_tokens: 5, seed: 1 })).body.choices[0]!;
    expect(cut).toMatchObject({ finish_reason: 'length', message: { content: '' } });
    expect(cut.message.tool_calls).toBeUndefined();
  });

  it('finds calls that the model makes by itself, and leaves them text where there are no tools', async () => {
    const said = 'So <tool_call>\n{"name": "now", "arguments": {}}\n</tool_call>\n<tool_call>\n{"name": "get_weather", "arguments": {"city": "a"}}\n</tool_call>';
    // A model that says just this, character by character.
    const ids = lm.tokenizer.encode(said, { addSpecialTokens: false, continues: true });
    const obedient = new Client(Object.create(lm, { generationDefaults: { value: { forcedTokens: ids } } }) as MatMulFreeLM);
    const asked = { messages: HI, max_tokens: ids.length, tools: TOOLS };
    const answer = async (more: object): Promise<Choice> => (await obedient.chat({ ...asked, ...more })).body.choices[0]!;
    const both = [{ function: { name: 'now', arguments: '{}' } }, { function: { name: 'get_weather', arguments: '{"city":"a"}' } }];
    expect(await answer({})).toMatchObject({ message: { content: 'So', tool_calls: both }, finish_reason: 'tool_calls' });
    expect((await answer({ parallel_tool_calls: false })).message.tool_calls).toMatchObject(both.slice(0, 1));
    for (const none of [{ tools: undefined }, { tool_choice: 'none' }]) expect(await answer(none)).toMatchObject({ message: { content: said }, finish_reason: 'length' });
    const events = await obedient.stream('/v1/chat/completions', asked);
    expect(events.map(({ choices }) => choices[0]!.delta.content ?? '').join('')).toBe('So ');
    expect(events.flatMap(({ choices }) => choices[0]!.delta.tool_calls ?? [])).toMatchObject([{ index: 0, ...both[0] }, { index: 1, ...both[1] }]);
  });

  it('reads a whole conversation: parts, calls and their results, the developer', async () => {
    const messages = [
      { role: 'developer', content: [{ type: 'text', text: 'be' }, { type: 'text', text: 'brief' }] },
      { role: 'user', content: 'Weather?' },
      { role: 'assistant', content: null, tool_calls: [{ id: 'call_1', type: 'function', function: { name: 'now', arguments: '{"x": [1]}' } }] },
      { role: 'tool', tool_call_id: 'call_1', content: '12' },
    ];
    const said = [
      { role: 'system', content: 'be\nbrief' }, { role: 'user', content: 'Weather?' },
      { role: 'assistant', content: '', tool_calls: [{ type: 'function' as const, function: { name: 'now', arguments: { x: [1] } } }] }, { role: 'tool', content: '12' },
    ];
    const { body } = await client.chat({ messages, max_tokens: 8, seed: 1, ...PLAIN });
    expect(body.choices[0]!.message.content).toBe((await lm.complete(said, plainFor({ maxNewTokens: 8, seed: 1 }))).text);
  });

  it('tells thoughts apart', async () => {
    for (const asked of [{ reasoning_effort: 'high' }, { enable_thinking: true }, { chat_template_kwargs: { enable_thinking: true } }]) {
      const { body } = await client.chat({ max_tokens: 10, seed: 4, ...PLAIN, ...asked });
      const { thinking } = await lm.complete(HI, plainFor({ enableThinking: true, maxNewTokens: 10, seed: 4 }));
      expect(thinking).not.toBe('');
      expect(body.choices[0]!.message).toMatchObject({ reasoning_content: thinking, content: '' });
      const events = await client.stream('/v1/chat/completions', { messages: HI, max_tokens: 10, seed: 4, ...PLAIN, ...asked });
      expect(events.map((event) => event.choices[0]!.delta.reasoning_content ?? '').join('').trim()).toBe(thinking);
    }
    const { body } = await client.chat({ max_tokens: 10, seed: 4, reasoning_effort: 'none', ...PLAIN });
    expect(body.usage.prompt_tokens).toBe(lm.chats('test').promptIds(HI, { enableThinking: false }).length);
    // What is held to a schema is the answer: the thought is closed.
    const format = await client.chat({ max_tokens: 50, enable_thinking: true, response_format: { type: 'json_schema', json_schema: { schema: { const: 1 } } } });
    expect(format.body.choices[0]).toMatchObject({ message: { content: '1' }, finish_reason: 'stop' });
  });
});

describe('POST /v1/completions', () => {
  it('goes on from texts and ids, n times each', async () => {
    const ids = lm.tokenizer.encode('cat');
    for (const prompt of ['dog', ['dog', 'cat'], ids, [ids, [5]]]) {
      const { body } = await client.ask('/v1/completions', { prompt, n: 2, seed: 9, max_tokens: 6, ...PLAIN });
      const prompts = Array.isArray(prompt) && typeof prompt[0] !== 'number' ? prompt : [prompt];
      const expected: string[] = [];
      for (const each of prompts as (string | number[])[]) for (let n = 0; n < 2; n++) expected.push((await lm.complete(each, plainFor({ maxNewTokens: 6, seed: 9 + expected.length }))).text);
      expect(body.choices.map((choice) => choice.text)).toEqual(expected);
      expect(body.object).toBe('text_completion');
    }
  });

  it('echoes, streams, tells log-probabilities in its own form; 16 tokens where none are asked for', async () => {
    const asked = { prompt: 'dog', seed: 1, ...PLAIN, echo: true };
    const { body } = await client.ask('/completions', asked);
    expect(body.choices[0]!.text).toMatch(/^dog.{1,16}$/s);
    const events = await client.stream('/v1/completions', asked);
    expect(events.map((event) => event.choices[0]!.text).join('')).toBe(body.choices[0]!.text);
    const { logprobs, text } = (await client.ask('/v1/completions', { prompt: 'dog', seed: 1, logprobs: 2, max_tokens: 4, ...PLAIN })).body.choices[0] ;
    expect(logprobs!.tokens.join('')).toBe(text);
    expect(logprobs!.text_offset).toEqual([0, 1, 2, 3]);
    const { all } = await collect(lm.generateTokens('dog', plainFor({ maxNewTokens: 4, seed: 1, topLogprobs: 2 })));
    expect(logprobs!.token_logprobs).toEqual(all.map(({ logprob }) => logprob));
    for (const [n, top] of logprobs!.top_logprobs.entries()) expect(top).toMatchObject({ [all[n]!.text]: all[n]!.logprob });
  });
});

describe('POST /v1/embeddings', () => {
  it('gives unit vectors, as numbers or base64', async () => {
    const vectors = await Promise.all(['one', 'two'].map((text) => lm.embed(text, { normalize: true })));
    const { body } = await client.ask('/v1/embeddings', { input: ['one', 'two'], encoding_format: 'float' });
    expect(body.data.map((each) => each.embedding)).toEqual(vectors.map((vector) => [...vector]));
    expect(body.usage).toEqual({ prompt_tokens: 6, total_tokens: 6 });
    const packed = (await client.ask('/v1/embeddings', { input: lm.tokenizer.encode('one'), encoding_format: 'base64', dimensions: 16 })).body.data[0]!.embedding;
    const bytes = Buffer.from(packed, 'base64');
    expect(new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length))).toEqual(vectors[0]);
  });
});

describe('who may ask', () => {
  it('those with a key', async () => {
    const locked = new Client(lm, { apiKey: ['secret', 'other'] });
    const as = (authorization: string) => locked.ask('/v1/models', undefined, { headers: { authorization } });
    for (const key of ['Bearer secret', 'bearer other']) expect((await as(key)).status).toBe(200);
    for (const key of ['Bearer secre', 'Bearer secret2', 'secret', 'Basic secret', 'Bearer ', '']) {
      const { status, body } = await as(key);
      expect([status, body.error.type]).toEqual([401, 'authentication_error']);
      expect(JSON.stringify(body)).not.toContain('secret');
    }
    expect((await locked.chat({ max_tokens: 1 })).status).toBe(401);
    expect((await locked.ask('/health')).status).toBe(200);
  });

  it('pages of other origins, if they may', async () => {
    const from = (cors: boolean | string[] | undefined, origin: string, method = 'OPTIONS') => new Client(lm, { cors }).ask('/v1/chat/completions', undefined, { method, headers: { origin } });
    const allowed = async (...args: Parameters<typeof from>): Promise<string | null> => (await from(...args)).headers.get('access-control-allow-origin');
    expect(await allowed(undefined, 'https://a.com')).toBe(null);
    expect(await allowed(true, 'https://a.com')).toBe('*');
    expect(await allowed(['https://a.com'], 'https://a.com')).toBe('https://a.com');
    expect(await allowed(['https://a.com'], 'https://b.com')).toBe(null);
    expect(await allowed(['https://a.com'], 'https://a.com', 'POST')).toBe('https://a.com'); // also on errors
    const preflight = await from(true, 'https://a.com');
    expect([preflight.status, preflight.headers.get('access-control-allow-methods'), preflight.headers.get('allow')]).toEqual([204, 'POST, OPTIONS', 'POST, OPTIONS']);
    expect(preflight.headers.get('access-control-allow-headers')).toContain('authorization');
  });
});

describe('createHandler', () => {
  it('refuses options and models that it cannot use', async () => {
    for (const options of [{ apiKey: '' }, { apiKey: 'a\nb' }, { cors: 'nowhere' }, { batchSize: 0 }, { maxQueue: 1.5 }, { nonsense: 1 }, { modelName: '' }, { onError: 5 }, null]) {
      expect(() => createHandler(lm, options as never), JSON.stringify(options)).toThrow(ArgumentError);
    }
    for (const model of [null, {}, 'x', Promise.resolve(lm)]) expect(() => createHandler(model as never)).toThrow(/^createHandler: got .* in place of a model/);
    const { MatMulFreeLM } = await import('matmulfree');
    const mute = await MatMulFreeLM.load(tinyCheckpoint(), { threads: 1 });
    expect(() => createHandler(mute)).toThrow(TokenizerError);
    mute.dispose();
  });

  it('of a model without a template says so', async () => {
    const { MatMulFreeLM } = await import('matmulfree');
    const plain = await MatMulFreeLM.load(recurrentFiles(), { threads: 1 });
    const { status, body } = await new Client(plain).chat({ max_tokens: 1 });
    expect([status, body.error]).toEqual([400, {
      message: 'this model has no chat template, which says how a conversation is written; ask /v1/completions, or start the server with one (matmulfree serve --chat-template FILE)',
      type: 'invalid_request_error', param: null, code: 'no_chat_template',
    }]);
    plain.dispose();
  });
});
