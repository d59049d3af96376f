import { afterAll, beforeAll, expect, it } from 'vitest';
import { MatMulFreeLM } from 'matmulfree';
import { createHandler } from 'matmulfree/server';
import { startHttp, type HttpServer } from '../../src/cli/http-server.js';
import { EMBEDDED } from '../support/files.js';
import { collectGarbage } from '../support/garbage.js';

const COUNT = 200;
const PROMPTS = ['The dragon', 'A small cat', 'One night, the moon', 'Once upon a time there was a wise owl who answered every question. '.repeat(6)];

let lm: MatMulFreeLM;
let server: HttpServer;
beforeAll(async () => {
  lm = await MatMulFreeLM.load(EMBEDDED);
  server = await startHttp(createHandler(lm), '127.0.0.1', 0);
});
afterAll(async () => {
  await server?.close();
  lm?.dispose();
});

interface Asked {
  readonly prompt: string;
  readonly seed: number;
  readonly max_tokens: number;
}

async function ask(asked: Asked, n: number): Promise<{ text: string; ms: number }> {
  const start = performance.now();
  const body = JSON.stringify({ ...asked, temperature: 0.8, stream: n % 2 === 0 });
  const response = await fetch(`${server.url}/v1/completions`, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
  const said = await response.text();
  expect(response.status, said).toBe(200);
  const events = n % 2 === 0 ? said.split('\n\n').filter((line) => line.startsWith('data: {')).map((line) => line.slice('data: '.length)) : [said];
  const text = events.map((event) => (JSON.parse(event) as { choices: { text: string }[] }).choices[0]!.text).join('');
  return { text, ms: performance.now() - start };
}

it(`${COUNT} requests at once: all right, none starved, memory back`, async () => {
  const asked = Array.from({ length: COUNT }, (_, n): Asked => ({ prompt: PROMPTS[n % PROMPTS.length]! + (n % 3 === 0 ? ' and' : ''), seed: n, max_tokens: 10 + (n % 7) * 5 }));
  const memory = (): number => {
    collectGarbage();
    const { rss, heapUsed, arrayBuffers } = process.memoryUsage();
    console.log(`resident ${(rss / 1e6).toFixed(0)} MB, heap ${(heapUsed / 1e6).toFixed(1)} MB, buffers ${(arrayBuffers / 1e6).toFixed(1)} MB`);
    return heapUsed + arrayBuffers;
  };
  await Promise.all(asked.map(ask)); // what the first ones leave for good: caches, connections, compiled code
  const kept = [memory()];
  let answers: Awaited<ReturnType<typeof ask>>[] = [];
  let together = 0;
  for (let round = 0; round < 3; round++) {
    const start = performance.now();
    answers = await Promise.all(asked.map(ask));
    together = performance.now() - start;
    kept.push(memory());
  }
  const waits = answers.map(({ ms }) => ms).sort((a, b) => a - b);
  for (const [n, { prompt, seed, max_tokens }] of asked.entries()) {
    expect(answers[n]!.text).toBe((await lm.complete(prompt, { seed, maxNewTokens: max_tokens, temperature: 0.8, ...lm.generationDefaults })).text);
  }
  // In the order in which they came: who came early is done early.
  const mean = (list: typeof answers): number => list.reduce((sum, { ms }) => sum + ms, 0) / list.length;
  expect(mean(answers.slice(0, COUNT / 4))).toBeLessThan(mean(answers.slice(-COUNT / 4)));
  const alone = performance.now();
  for (const [n, each] of asked.slice(0, 40).entries()) await ask(each, n);
  const oneByOne = ((performance.now() - alone) / 40) * COUNT;
  console.log(`${COUNT} requests in ${together.toFixed(0)} ms, one after another some ${oneByOne.toFixed(0)} ms; the first after ${waits[0]!.toFixed(0)} ms, half after ${waits[COUNT / 2]!.toFixed(0)} ms`);
  // Requests that are held, and not an engine that compiles or collects just then, show in every round.
  expect(Math.min(...kept.slice(1).map((bytes, n) => bytes - kept[n]!))).toBeLessThan(2e6);
}, 300_000);
