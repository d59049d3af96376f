import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { MatMulFreeLM } from 'matmulfree';
import { tries } from '../support/effort.js';
import { freshSeed, randomFrom } from '../support/random.js';
import { Client, HI, loadChat, transformerFiles } from './support.js';

const CHAT = '/v1/chat/completions';
const TOOL = { type: 'function', function: { name: 'f', parameters: { type: 'object', properties: { x: { type: 'integer' } } } } };

let lm: MatMulFreeLM;
let client: Client;
const errors: unknown[] = [];
beforeAll(async () => {
  lm = await loadChat(transformerFiles(), { contextTokens: 1024 });
  client = new Client(lm, { maxTokens: 3, maxBodyBytes: 100_000, bodyTimeMs: 50, onError: (error) => errors.push(error) });
});
afterAll(() => {
  lm.dispose();
  expect(errors).toEqual([]);
});

describe('a request that is wrong', () => {
  it.each<[string, unknown, number, string | null]>([
    ['no object', [1], 400, 'the body'], ['null', 'null', 400, 'the body'], ['no JSON', '{"messages": [', 400, null], ['nothing', '', 400, null],
    ['no messages', {}, 400, 'messages'], ['none of them', { messages: [] }, 400, 'messages'], ['a text', { messages: 'Hi' }, 400, 'messages'],
    ['a role that is none', { messages: [{ role: 'admin', content: 'x' }] }, 400, 'messages[0].role'], ['no content', { messages: [{ role: 'user' }] }, 400, 'messages[0].content'],
    ['a picture', { messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: 'x' } }] }] }, 400, 'messages[0].content[0].type'],
    ['arguments that are no JSON', { messages: [{ role: 'assistant', tool_calls: [{ function: { name: 'x', arguments: '{' } }] }] }, 400, 'messages[0].tool_calls[0].function.arguments'],
    ['a temperature', { messages: HI, temperature: 'hot' }, 400, 'temperature'], ['below 0', { messages: HI, temperature: -1 }, 400, 'temperature'],
    ['tokens', { messages: HI, max_tokens: 1.5 }, 400, 'max_tokens'], ['n', { messages: HI, n: 17 }, 400, 'n'], ['n of 0', { messages: HI, n: 0 }, 400, 'n'],
    ['a seed', { messages: HI, seed: -5 }, 400, 'seed'], ['stream', { messages: HI, stream: 'yes' }, 400, 'stream'], ['stream options', { messages: HI, stream_options: {} }, 400, 'stream_options'],
    ['an empty stop', { messages: HI, stop: '' }, 400, 'stop'], ['stops', { messages: HI, stop: [1] }, 400, 'stop'], ['many stops', { messages: HI, stop: Array(99).fill('x') }, 400, 'stop'],
    ['a bias', { messages: HI, logit_bias: { x: 1 } }, 400, 'logit_bias'], ['of no token', { messages: HI, logit_bias: { 99999: 1 } }, 400, null], ['too large', { messages: HI, logit_bias: { 1: 101 } }, 400, 'logit_bias'],
    ['top_logprobs alone', { messages: HI, top_logprobs: 2 }, 400, 'top_logprobs'], ['the other form', { messages: HI, logprobs: 3 }, 400, 'logprobs'],
    ['a format', { messages: HI, response_format: { type: 'xml' } }, 400, 'response_format.type'], ['a format without type', { messages: HI, response_format: {} }, 400, 'response_format.type'], ['no schema', { messages: HI, response_format: { type: 'json_schema' } }, 400, 'response_format.json_schema.schema'],
    ['a tool', { messages: HI, tools: [{ type: 'retrieval' }] }, 400, 'tools[0].type'], ['its name', { messages: HI, tools: [{ type: 'function', function: { name: 'a b' } }] }, 400, 'tools[0].function.name'],
    ['a choice that is none', { messages: HI, tools: [TOOL], tool_choice: { type: 'function', function: { name: 'g' } } }, 400, 'tool_choice'], ['without tools', { messages: HI, tool_choice: 'required' }, 400, 'tool_choice'],
    ['a schema that cannot be followed', { messages: HI, tool_choice: 'required', tools: [{ type: 'function', function: { name: 'f', parameters: { type: 'object', not: {} } } }] }, 400, 'tools'],
    ['a slip', { messages: HI, temprature: 1 }, 400, 'temprature'], ['what is not supported', { messages: HI, functions: [] }, 400, 'functions'], ['sound', { messages: HI, modalities: ['audio'] }, 400, 'modalities'],
    ['another model', { messages: HI, model: 'gpt-4' }, 404, 'model'], ['a model that is none', { messages: HI, model: 5 }, 400, 'model'], ['a long text', { messages: [{ role: 'user', content: 'x'.repeat(2000) }] }, 400, null],
  ])('%s', async (_what, body, status, param) => {
    const answer = await client.ask(CHAT, body);
    expect([answer.status, answer.body.error.param ?? null], answer.body.error.message).toEqual([status, param]);
    expect(answer.body.error.message).not.toContain('\n');
    expect(Object.keys(answer.body.error)).toEqual(['message', 'type', 'param', 'code']);
  });

  it('of the other endpoints', async () => {
    const status = async (path: string, body: unknown, init?: RequestInit): Promise<number> => (await client.ask(path, body, init)).status;
    for (const prompt of [undefined, '', [], 5, {}, [['x']], [[1.5]], [-1], [lm.config.vocabSize], Array(129).fill('x'), [1, 'x'], ['x', null], 'x'.repeat(2000)]) {
      expect(await status('/v1/completions', { prompt }), JSON.stringify(prompt)?.slice(0, 60)).toBe(400);
      if (!Array.isArray(prompt) || prompt.length < 100) expect(await status('/v1/embeddings', { input: prompt })).toBe(400);
    }
    for (const more of [{ suffix: 'x' }, { best_of: 3 }, { echo: true, logprobs: 1 }, { logprobs: true }, { n: 16, prompt: Array(10).fill('x') }]) expect(await status('/v1/completions', { prompt: 'x', ...more })).toBe(400);
    for (const more of [{ dimensions: 5 }, { encoding_format: 'hex' }]) expect(await status('/v1/embeddings', { input: 'x', ...more })).toBe(400);
    for (const path of ['/', '/v1', '/v1/v1/models', '/v2/models', '/v1/chat', '/v1/models2', '//', '/v1/files']) expect(await status(path, undefined)).toBe(404);
    expect(await status('/v1/models/%zz', undefined)).toBe(400);
    for (const method of ['DELETE', 'PUT', 'PATCH', 'GET', 'HEAD']) expect(await status(CHAT, undefined, { method })).toBe(405);
    expect(await status('/v1/models', {})).toBe(405);
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'application/jsonx', '']) expect(await status(CHAT, '{}', { headers: { 'content-type': type } })).toBe(415);
    expect(await status(CHAT, { messages: HI, max_tokens: 1 }, { headers: { 'content-type': 'application/json; charset=utf-8' } })).toBe(200);
  });
});

describe('a body', () => {
  const send = (body: BodyInit, headers: Record<string, string> = {}) => client.ask(CHAT, undefined, { method: 'POST', body, headers: { 'content-type': 'application/json', ...headers }, duplex: 'half' } as RequestInit);

  it('that is too large, said or not', async () => {
    let sent = 0;
    const endless = new ReadableStream({ pull: (controller) => { sent++; controller.enqueue(new Uint8Array(10_000).fill(32)); } });
    expect((await send(endless)).status).toBe(413);
    expect(sent).toBeLessThan(20);
    expect((await send('{}', { 'content-length': '100001' })).status).toBe(413);
  });

  it('that does not come, or not to its end, or is no text', async () => {
    let cancelled = false;
    expect((await send(new ReadableStream({ cancel: () => { cancelled = true; } }))).status).toBe(408);
    expect(cancelled).toBe(true);
    expect((await send(new ReadableStream({ pull: (controller) => controller.error(new Error('gone')) }))).status).toBe(400);
    expect((await send(new Uint8Array([0x7b, 0xff, 0x7d]))).status).toBe(400);
  });

  it('that is nested deep, or tries names of prototypes', async () => {
    for (const deep of ['['.repeat(50_000), `{"messages":${'[{"a":'.repeat(8000)}`, `${'['.repeat(70)}"${']'.repeat(70)}`]) expect((await send(deep)).status).toBe(400);
    const brackets = JSON.stringify({ messages: [{ role: 'user', content: `${'[{'.repeat(200)}\\"` }], max_tokens: 1 });
    expect((await send(brackets)).status).toBe(200); // within a string they are text
    expect((await send('{"__proto__": {"messages": [{"role": "user", "content": "x"}]}}')).status).toBe(400);
    expect((await send('{"messages": [{"role": "user", "content": "x", "__proto__": {"role": "system"}}], "max_tokens": 1, "logit_bias": {"__proto__": 1}}')).status).toBe(400);
    expect((await send('{"messages": [{"role": "user", "content": "x"}], "max_tokens": 1, "tools": [{"type": "function", "function": {"name": "__proto__", "parameters": {}}}], "tool_choice": "required"}')).status).toBe(200);
  });

  it('puts nothing into headers', async () => {
    for (const evil of ['x\r\nset-cookie: a=b', 'x\nx: y', '\u0000', '\ud800']) {
      const { status, headers, body } = await client.ask(CHAT, { messages: HI, model: evil }, { headers: { origin: 'https://evil.com' } });
      expect([status, [...headers.keys()]]).toEqual([404, ['cache-control', 'content-type']]);
      expect(body.error.message).not.toMatch(/[\n\r\0]/);
    }
    expect((await client.ask(`/v1/models/${encodeURIComponent('x\r\ny: z')}`)).status).toBe(404);
  });
});

const seed = freshSeed();

it(`whatever is sent gets an answer in one of two forms (seed ${seed})`, async () => {
  const random = randomFrom(seed);
  const pick = <T>(list: readonly T[]): T => list[random.integer(0, list.length - 1)]!;
  const junk = (): unknown => pick<unknown>([
    null, true, false, 0, -1, 1, 2, 1e308, 0.5, '', 'x', '\ud800', '<|im_end|>', 'auto', 'function', [], [[]], {}, [null], { type: 'object' }, { a: { b: [] } }, ['x', 1], 'x'.repeat(300), 2 ** 53, '__proto__',
    { type: 'function', function: { name: 'f' } }, { $ref: '#' }, { anyOf: [] }, { pattern: '(' }, { enum: [1, 'a', null] },
  ]);
  const whole = {
    model: 'matmulfree', messages: [{ role: 'system', content: 'a' }, { role: 'user', content: [{ type: 'text', text: 'b' }] }, { role: 'assistant', content: null, tool_calls: [{ id: 'c', type: 'function', function: { name: 'f', arguments: '{}' } }] }, { role: 'tool', content: 'd', tool_call_id: 'c' }],
    temperature: 1, top_p: 0.9, n: 2, stop: ['x'], seed: 1, max_tokens: 2, presence_penalty: 0, frequency_penalty: 0, logit_bias: { 5: 1 }, logprobs: true, top_logprobs: 1, stream: false,
    response_format: { type: 'json_schema', json_schema: { name: 'x', schema: { type: 'object', properties: { a: { type: 'string' } } } } }, tools: [TOOL], tool_choice: 'auto', chat_template_kwargs: { x: 1 }, user: 'u',
  };
  const others = { prompt: ['a', [1, 2]], input: ['a', 'b'], encoding_format: 'float', echo: false };
  const spoil = (value: unknown): unknown => {
    if (random.unit() < 0.025) return junk();
    if (Array.isArray(value)) return value.flatMap((each) => (random.unit() < 0.03 ? [] : random.unit() < 0.03 ? [spoil(each), junk()] : [spoil(each)]));
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(Object.entries(value).flatMap(([key, each]) => (random.unit() < 0.06 ? [] : [[random.unit() < 0.01 ? String(junk()) : key, spoil(each)]])));
  };
  const counts = new Map<number, number>();
  for (let n = 0; n < tries(250, 20_000); n++) {
    const path = pick([CHAT, CHAT, '/v1/completions', '/v1/embeddings']);
    const { messages, tools, tool_choice, top_logprobs, chat_template_kwargs, ...shared } = whole;
    const valid = path === CHAT ? whole : path === '/v1/completions' ? { ...shared, logprobs: 1, prompt: others.prompt, echo: false } : { model: 'matmulfree', input: others.input, encoding_format: others.encoding_format };
    let body = JSON.stringify(spoil(valid)) ?? '';
    if (random.unit() < 0.05) body = body.slice(0, random.integer(0, body.length));
    const response = await client.request(path, body);
    const text = await response.text();
    counts.set(response.status, (counts.get(response.status) ?? 0) + 1);
    expect([200, 400, 404], `${path} ${body}: ${text}`).toContain(response.status);
    if (response.headers.get('content-type')?.startsWith('text/event-stream')) expect(text.endsWith('data: [DONE]\n\n')).toBe(true);
    else expect(Object.keys(JSON.parse(text) as object)[0], body).toBe(response.status === 200 ? (path === '/v1/embeddings' ? 'object' : 'id') : 'error');
    expect(errors, body).toEqual([]);
  }
  console.log('answers by status:', Object.fromEntries(counts));
  expect(counts.get(200)).toBeGreaterThan(0);
  await client.handler.close();
});
