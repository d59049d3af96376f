import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { MatMulFreeLM } from 'matmulfree';
import { createHandler } from 'matmulfree/server';
import { startHttp, type HttpServer } from '../../src/cli/http-server.js';
import { projectOrSkip } from '../support/fresh-project.js';
import { installPackage, type Packed } from '../support/packed.js';
import { HI, loadChat, TURN_END } from './support.js';

/*
 * The client that everybody has, unmodified, as the registry gives it.
 */

const PROGRAM = `
import OpenAI from 'openai';
const client = new OpenAI({ baseURL: process.argv[2], apiKey: 'k', maxRetries: 0 });
const found = {};
const model = found.model = (await client.models.list()).data[0].id;
const messages = ${JSON.stringify(HI)};
const options = { model, messages, seed: 5, max_tokens: 12 };
found.chat = (await client.chat.completions.create(options)).choices[0].message.content;
found.streamed = '';
for await (const { choices, usage } of await client.chat.completions.create({ ...options, stream: true, stream_options: { include_usage: true } })) {
  found.streamed += choices[0]?.delta?.content ?? '';
  if (usage) found.usage = usage;
}
const stream = await client.chat.completions.create({ ...options, max_tokens: 1e9, stream: true, logit_bias: { ${TURN_END}: -100 } });
found.pieces = 0;
for await (const _ of stream) if (++found.pieces === 5) stream.controller.abort();
const schema = { type: 'object', properties: { a: { type: 'integer', minimum: 1, maximum: 9 } }, required: ['a'], additionalProperties: false };
const formatted = await client.chat.completions.parse({ ...options, max_tokens: 99, response_format: { type: 'json_schema', json_schema: { name: 'x', strict: true, schema } } });
found.json = JSON.parse(formatted.choices[0].message.content);
const tools = [{ type: 'function', function: { name: 'pick', parameters: schema } }];
const called = await client.chat.completions.create({ ...options, max_tokens: 99, tools, tool_choice: 'required' });
const { message } = called.choices[0];
found.call = [message.tool_calls[0].function.name, JSON.parse(message.tool_calls[0].function.arguments), called.choices[0].finish_reason];
const after = await client.chat.completions.create({ ...options, tools, messages: [...messages, message, { role: 'tool', tool_call_id: message.tool_calls[0].id, content: '5' }] });
found.after = typeof after.choices[0].message.content;
const helper = client.chat.completions.stream({ ...options, max_tokens: 99, tools, tool_choice: { type: 'function', function: { name: 'pick' } } });
found.helper = (await helper.finalChatCompletion()).choices[0].message.tool_calls[0].function.name;
found.completion = (await client.completions.create({ model, prompt: 'dog', max_tokens: 5, seed: 1 })).choices[0].text.length;
found.embedding = (await client.embeddings.create({ model, input: ['one', 'two'] })).data.map(({ embedding }) => embedding.length);
found.errors = [];
for (const [asked, key] of [[{ ...options, temperature: -1 }, 'k'], [{ ...options, model: 'gpt-4' }, 'k'], [options, 'wrong']]) {
  await new OpenAI({ baseURL: process.argv[2], apiKey: key, maxRetries: 0 }).chat.completions.create(asked).catch((error) => found.errors.push([error.constructor.name, error.status, error.param, error.code]));
}
console.log(JSON.stringify(found));
`;

describe('the package openai', { timeout: 180_000 }, () => {
  let lm: MatMulFreeLM;
  let server: HttpServer;
  let packed: Packed;
  const errors: unknown[] = [];
  beforeAll(async () => {
    [lm, packed] = await Promise.all([loadChat(), installPackage({ untyped: true })]);
    server = await startHttp(createHandler(lm, { apiKey: 'k', maxTokens: 1e9, onError: (error) => errors.push(error) }), '127.0.0.1', 0);
  }, 120_000);
  afterAll(async () => {
    await server?.close();
    lm?.dispose();
    await packed?.remove();
  });

  it('chats, streams, leaves, gets JSON, calls tools, embeds, and understands errors', async (context) => {
    const project = await projectOrSkip(context, packed, 'openai', ['openai@6.9.1'], {});
    await writeFile(join(project.folder, 'use.mjs'), PROGRAM);
    const found = JSON.parse(await project.run(process.execPath, join(project.folder, 'use.mjs'), `${server.url}/v1`)) as Record<string, unknown>;
    const { text, promptTokens } = await lm.complete(HI, { temperature: 1, seed: 5, maxNewTokens: 12 });
    const oneToNine = { a: expect.toSatisfy((value: number) => value >= 1 && value <= 9) as number };
    expect(found).toEqual({
      model: 'matmulfree', chat: text, streamed: text, usage: expect.objectContaining({ prompt_tokens: promptTokens }) as unknown, pieces: expect.toSatisfy((pieces: number) => pieces >= 5) as number, json: oneToNine,
      call: ['pick', oneToNine, 'tool_calls'], after: 'string', helper: 'pick', completion: 5, embedding: [16, 16],
      errors: [['BadRequestError', 400, 'temperature', null], ['NotFoundError', 404, 'model', 'model_not_found'], ['AuthenticationError', 401, null, 'invalid_api_key']],
    });
    expect(errors).toEqual([]);
  });
});
