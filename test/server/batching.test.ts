import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { MatMulFreeLM } from 'matmulfree';
import { freshSeed, randomFrom } from '../support/random.js';
import { Client, HI, loadChat, recurrentFiles, transformerFiles, TURN_END, type Answered } from './support.js';

const seed = freshSeed();

describe.each([['recurrent', recurrentFiles, {}], ['Transformer', transformerFiles, { contextTokens: 512 }]] as const)(`requests at the same time, a %s model (seed ${seed})`, (_name, files, options) => {
  let lm: MatMulFreeLM;
  beforeAll(async () => { lm = await loadChat(files(seed), options); });
  afterAll(() => lm.dispose());

  it('each gets what it would get alone, though there is not memory for all of them at once', async () => {
    const random = randomFrom(seed);
    const client = new Client(lm, { batchSize: 5 });
    const asked = Array.from({ length: 30 }, (_, n) => ({
      messages: [{ role: 'user', content: 'ab cd '.repeat(random.integer(1, 20)) + n }], seed: n, max_tokens: random.integer(1, 40), temperature: n % 3 === 0 ? 0 : 1, isStream: n % 2 === 0,
    }));
    const texts = await Promise.all(asked.map(async ({ isStream, ...body }) => {
      if (isStream) return (await client.stream('/v1/chat/completions', body)).map(({ choices }) => choices[0]!.delta.content ?? '').join('');
      return (await client.chat(body)).body.choices[0]!.message.content!;
    }));
    for (const [n, { messages, max_tokens, temperature }] of asked.entries()) {
      expect(texts[n]).toBe((await lm.complete(messages, { seed: n, maxNewTokens: max_tokens, temperature })).text);
    }
    if (lm.model.parts.pages) expect(lm.model.parts.pages.available).toBeGreaterThan(0);
  });

  it('reads beginnings that they share once', async () => {
    const client = new Client(lm);
    const messages = [{ role: 'system', content: 'rules '.repeat(30) }, ...HI];
    const cached = async (): Promise<number> => (await client.chat({ messages, max_tokens: 2, seed: 1 })).body.usage.prompt_tokens_details.cached_tokens;
    expect(await cached()).toBe(0);
    expect(await cached()).toBeGreaterThanOrEqual(128);
    const without = new Client(lm, { prefixCacheBytes: 0 });
    const [first, second] = [await without.chat({ messages, max_tokens: 9, seed: 1 }), await client.chat({ messages, max_tokens: 9, seed: 1 })];
    expect(second.body.choices).toEqual(first.body.choices);
  });
});

describe('a server', () => {
  let lm: MatMulFreeLM;
  beforeAll(async () => { lm = await loadChat(); });
  afterAll(() => lm.dispose());

  const endless = { messages: HI, max_tokens: 1e9, logit_bias: { [TURN_END]: -100 } };

  it('ends the work of a client that goes away: before its turn, while it waits for all, while it reads a stream', async () => {
    const client = new Client(lm, { batchSize: 1, maxTokens: 1e9 });
    const reading = await client.request('/v1/chat/completions', { ...endless, stream: true });
    const reader = reading.body!.getReader();
    await reader.read();
    const gone = new AbortController();
    const waiting = client.chat(endless, { signal: gone.signal });
    const other = client.chat({ max_tokens: 3 });
    await new Promise((resolve) => setImmediate(resolve));
    gone.abort();
    expect((await waiting).status).toBe(499);
    await reader.cancel();
    expect((await other).status).toBe(200);
    const alone = new AbortController();
    const whole = client.chat(endless, { signal: alone.signal });
    await client.ask('/health');
    await new Promise((resolve) => setImmediate(resolve));
    alone.abort();
    expect((await whole).status).toBe(499);
    expect((await client.chat(endless, { signal: AbortSignal.abort() })).status).toBe(499);
    await client.handler.close(); // nothing is at work
  });

  it('tells those to come again for whom there is no place, and the others get theirs in turn', async () => {
    const client = new Client(lm, { batchSize: 2, maxQueue: 3 });
    const ended: number[] = [];
    const answers = await Promise.all(Array.from({ length: 9 }, (_, n) => client.chat({ max_tokens: 5, seed: n, temperature: 0 }).then((answer) => {
      ended.push(n);
      return answer;
    })));
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200, 429, 429, 429, 429]);
    expect(answers[8]!.body.error).toMatchObject({ type: 'rate_limit_error', code: 'queue_full' });
    expect(answers[8]!.headers.get('retry-after')).toBe('1');
    expect(ended.filter((n) => n < 5)).toEqual([0, 1, 2, 3, 4]);
    expect((await client.chat({ n: 6, max_tokens: 1 })).status).toBe(429);
    expect((await client.chat({ n: 5, max_tokens: 1 })).status).toBe(200);
  });

  it('sends what there is when the time is over', async () => {
    const client = new Client(lm, { maxTimeMs: 40, maxTokens: 1e9 });
    const { status, body } = await client.chat(endless);
    expect([status, body.choices[0]!.finish_reason]).toEqual([200, 'length']);
    expect(body.usage['completion_tokens']).toBeGreaterThan(0);
  });

  it('goes on with the others when one text cannot', async () => {
    const client = new Client(Object.create(lm, {
      generationDefaults: { value: { logitsProcessor: (logits: Float32Array, { ids }: { ids: Int32Array }) => { if (ids[ids.length - 1] === -1 || ids.length === 30) logits.fill(-Infinity); } } },
    }) as MatMulFreeLM);
    const answers = await Promise.all(['Hi', 'a longer text'].map((content) => client.chat({ messages: [{ role: 'user', content }], max_tokens: 12, logit_bias: endless.logit_bias, seed: 1 })));
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 400]);
  });

  it('when it is closed answers what runs, and nothing new', async () => {
    const client = new Client(lm, { maxTokens: 1e9 });
    const running = client.chat({ max_tokens: 50, logit_bias: endless.logit_bias });
    const response = await client.request('/v1/chat/completions', { ...endless, max_tokens: 60, stream: true });
    const closed = client.handler.close();
    const late: Answered = await client.chat({ max_tokens: 1 });
    expect([late.status, late.body.error.type]).toEqual([503, 'server_error']);
    expect((await client.ask('/health')).status).toBe(503);
    expect((await running).status).toBe(200);
    expect(await response.text()).toContain('[DONE]');
    await closed;
  });

  it('tells nothing of an error of its own, but its owner', async () => {
    const errors: unknown[] = [];
    const broken = new Client(Object.create(lm, { embed: { value: () => Promise.reject(new Error('a secret')) } }) as MatMulFreeLM, { onError: (error) => errors.push(error) });
    const { status, body } = await broken.ask('/v1/embeddings', { input: 'x' });
    expect([status, body.error.code]).toEqual([500, 'internal_error']);
    expect(body.error.message).not.toContain('secret');
    expect(errors).toEqual([new Error('a secret')]);
  });

  it('answers to the end, and can be closed, though what is told of errors fails', async () => {
    const broken = Object.create(lm, { createPrefixCache: { value: () => Promise.reject(new Error('a secret')) } }) as MatMulFreeLM;
    const client = new Client(broken, { onError() { throw new Error('no space left for logs'); } });
    expect((await client.chat({ max_tokens: 1 })).status).toBe(500);
    expect(await client.stream('/v1/completions', { prompt: 'x', max_tokens: 1 })).toEqual([{ error: expect.objectContaining({ code: 'internal_error' }) as unknown }]);
    await client.handler.close();
  });
});
