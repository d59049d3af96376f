import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { MatMulFreeLM } from 'matmulfree';
import { createHandler } from 'matmulfree/server';
import { startHttp, type HttpServer } from '../../src/cli/http-server.js';
import { cliWith, startCli } from '../support/run.js';
import { HI, loadChat, TURN_END } from '../server/support.js';

const JSON_TYPE = { 'content-type': 'application/json' };

describe('the server behind node:http', () => {
  let lm: MatMulFreeLM;
  let server: HttpServer;
  const errors: unknown[] = [];
  beforeAll(async () => {
    lm = await loadChat();
    server = await startHttp(createHandler(lm, { bodyTimeMs: 60, maxBodyBytes: 50_000, maxTokens: 1e9, onError: (error) => errors.push(error) }), '127.0.0.1', 0);
  });
  afterAll(async () => {
    await server.close(); // nothing is left at work
    lm.dispose();
    expect(errors).toEqual([]);
  });

  /** All that comes back on a connection to which this is written. */
  async function raw(text: string, end = false): Promise<string> {
    const socket = connect(Number(new URL(server.url).port), '127.0.0.1').setEncoding('utf8');
    let said = '';
    socket.on('data', (data: string) => { said += data; }).on('error', () => undefined);
    socket.write(text);
    if (end) socket.end();
    await once(socket, 'close');
    return said;
  }

  it('answers, whole and streamed', async () => {
    expect(server.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    const ask = (more: object) => fetch(`${server.url}/v1/chat/completions`, { method: 'POST', headers: JSON_TYPE, body: JSON.stringify({ messages: HI, max_tokens: 9, seed: 1, ...more }) });
    const whole = (await (await ask({})).json()) as { choices: { message: { content: string } }[] };
    expect(whole.choices[0]!.message.content).toBe((await lm.complete(HI, { temperature: 1, seed: 1, maxNewTokens: 9 })).text);
    const stream = await ask({ stream: true });
    expect(stream.headers.get('content-type')).toMatch(/^text\/event-stream/);
    expect(await stream.text()).toMatch(/^data: \{.*\n\ndata: \[DONE\]\n\n$/s);
    const head = await fetch(`${server.url}/health`, { method: 'HEAD' });
    expect([head.status, await head.text()]).toEqual([200, '']);
  });

  it('a client that goes away ends its work', async () => {
    const endless = JSON.stringify({ messages: HI, max_tokens: 1e9, stream: true, logit_bias: { [TURN_END]: -100 } });
    const gone = new AbortController();
    const response = await fetch(`${server.url}/v1/chat/completions`, { method: 'POST', headers: JSON_TYPE, body: endless, signal: gone.signal });
    await response.body!.getReader().read();
    gone.abort();
    const whole = new AbortController();
    const waiting = fetch(`${server.url}/v1/chat/completions`, { method: 'POST', headers: JSON_TYPE, body: endless.replace('"stream":true', '"stream":false'), signal: whole.signal });
    await (await fetch(`${server.url}/health`)).text();
    whole.abort();
    await expect(waiting).rejects.toThrow();
  });

  it('says why it does not read on, and ends the connection', async () => {
    const head = `POST /v1/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n`;
    expect(await raw(`${head}content-length: 100\r\n\r\n{"prompt"`)).toMatch(/^HTTP\/1\.1 408 /); // slow
    expect(await raw(`${head}content-length: 60000\r\n\r\n{"prompt"`)).toMatch(/^HTTP\/1\.1 413 /);
    expect(await raw(`${head}transfer-encoding: chunked\r\n\r\nEA60\r\n${' '.repeat(60_000)}\r\n`)).toMatch(/^HTTP\/1\.1 413 /);
    await raw(`${head}content-length: 100\r\n\r\n{"pro`, true); // gone in the middle
  });

  it('understands no nonsense', async () => {
    const request = (line: string, host = 'localhost') => raw(`${line} HTTP/1.1\r\nhost: ${host}\r\nconnection: close\r\n\r\n`);
    expect(await request('GET /health')).toMatch(/^HTTP\/1\.1 200 /);
    expect(await request('GET //')).toMatch(/^HTTP\/1\.1 40[04] /);
    expect(await request('GET http://[/health')).toMatch(/^HTTP\/1\.1 400 /);
    expect(await request('TRACE /health')).toMatch(/^HTTP\/1\.1 40[05] /);
    expect(await request('GET /v1/models/%0d%0aset-cookie:%20a=b')).not.toMatch(/^set-cookie/im);
    // The name of a page elsewhere that leads here.
    for (const host of ['evil.com', '127.0.0.1.evil.com', 'localhost.evil.com:80']) expect(await request('GET /health', host)).toMatch(/^HTTP\/1\.1 403 /);
    for (const host of ['localhost:1', '127.0.0.1', '[::1]:80']) expect(await request('GET /health', host)).toMatch(/^HTTP\/1\.1 200 /);
  });

  it('stops though somebody is connected who has not asked, or not to the end, or does not read', async () => {
    const other = await startHttp(createHandler(lm, { maxTokens: 1e9, maxTimeMs: 400 }), '127.0.0.1', 0, 50);
    const body = JSON.stringify({ messages: HI, max_tokens: 1e9, n: 16, stream: true, logprobs: true, top_logprobs: 20, logit_bias: { [TURN_END]: -100 } });
    const asks = `POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
    const sockets = ['', 'GET /health HTTP/1.1\r\nhost: loc', asks].map((text) => {
      const socket = connect(Number(new URL(other.url).port), '127.0.0.1').on('error', () => undefined).pause();
      if (text) socket.write(text);
      return socket;
    });
    await Promise.all(sockets.map((socket) => once(socket, 'connect')));
    const answer = await fetch(`${other.url}/v1/completions`, { method: 'POST', headers: JSON_TYPE, body: JSON.stringify({ prompt: 'a', max_tokens: 2 }) });
    const reading = answer.json() as Promise<{ readonly choices: readonly unknown[] }>;
    await other.close();
    expect((await reading).choices).toHaveLength(1);
    for (const socket of sockets) socket.destroy();
  });

  it('says when it cannot listen', async () => {
    await expect(startHttp(createHandler(lm), '127.0.0.1', Number(new URL(server.url).port))).rejects.toThrow(/another program listens there/);
  });
});

describe('matmulfree serve', () => {
  it('tells where it listens, answers, and stops after what runs', async () => {
    const stop = new AbortController();
    let listening: (url: string) => void;
    const url = new Promise<string>((resolve) => { listening = resolve; });
    const stderr = { write: (text: string) => void listening(/http:[^\s;]+/.exec(text)?.[0] ?? text) };
    const template = join(await mkdtemp(join(tmpdir(), 'matmulfree-serve-')), 'a.jinja');
    await writeFile(template, '{{ messages[0].content }}');
    const done = cliWith({ stderr, signal: stop.signal }, 'serve', '--port', '0', '--api-key', 'k', '--threads', '1', '--chat-template', template);
    const headers = { ...JSON_TYPE, authorization: 'Bearer k' };
    const base = await url;
    expect(await (await fetch(`${base}/models`, { headers })).json()).toMatchObject({ data: [{ id: 'tinystories-9m' }] });
    expect((await fetch(`${base}/models`)).status).toBe(401);
    const running = await fetch(`${base}/completions`, { method: 'POST', headers, body: JSON.stringify({ prompt: 'The dragon', max_tokens: 40, stream: true }) });
    const chat = await fetch(`${base}/chat/completions`, { method: 'POST', headers, body: JSON.stringify({ messages: [{ role: 'user', content: 'The dragon' }], max_tokens: 1 }) });
    expect(await chat.json()).toMatchObject({ choices: [{ message: { role: 'assistant' } }], usage: { prompt_tokens: 3 } });
    stop.abort();
    await rm(dirname(template), { recursive: true });
    expect(await running.text()).toMatch(/data: \[DONE\]\n\n$/);
    expect((await done).code).toBe(0);
    await expect(fetch(`${base}/models`, { headers })).rejects.toThrow();
  });

  it('is a program of its own, which Ctrl-C ends', async () => {
    const { child, ended } = startCli('serve', '--port', '0', '--threads', '1');
    child.stderr!.on('data', (text: Buffer) => { if (text.includes('is served at')) child.kill('SIGINT'); });
    const { code, stderr } = await ended;
    expect([code, stderr]).toEqual([0, expect.stringMatching(/^tinystories-9m is served at http:\/\/127\.0\.0\.1:\d+\/v1 .*\n$/) as string]);
  });

  it('says what is wrong with the command line', async () => {
    for (const args of [['--port', 'x'], ['--port', '70000'], ['--batch-size', '99'], ['--max-queue', '-1'], ['--cors', 'nowhere'], ['--api-key', ''], ['extra']]) {
      const { code, stderr } = await cliWith({}, 'serve', '--port', '0', ...args);
      expect([code, stderr.trimEnd().split('\n').length], stderr).toEqual([2, 1]);
    }
    expect((await cliWith({}, 'serve', '--help')).stdout).toContain('curl http://127.0.0.1:8080/v1/completions');
  });
});
