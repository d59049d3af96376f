import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { evaluate, MatMulFreeLM, parseTask } from 'matmulfree';
import { EMBEDDED, repository } from '../support/files.js';
import { cli, cliWith } from '../support/run.js';

let folder: string;
let lm: MatMulFreeLM;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'matmulfree-'));
  lm = await MatMulFreeLM.load(EMBEDDED);
});
afterAll(() => rm(folder, { recursive: true }));

const task = (name: string): string => `examples/data/stories-${name}.jsonl`;

describe('eval', () => {
  it.each(['choices', 'contexts', 'last-word'])('as a table and as JSON: %s', async (name) => {
    const items = parseTask(readFileSync(repository(task(name)), 'utf8'), name);
    const [table, asJson, limited] = await Promise.all([
      cli('eval', '--task', task(name), '--quiet'), cli('eval', '--task', task(name), '--json', '--no-bos'), cli('eval', '--task', task(name), '--json', '--limit', '1'),
    ]);
    expect(table).toMatchObject({ code: 0, stderr: '' });
    expect(table!.stdout).toMatch(new RegExp(`^stories-${name}\\.jsonl: .*, ${items.length} items\nacc +[01]\\.\\d{4} ± 0\\.\\d{4}\n(?:(?:acc_norm|perplexity) +[\\d.]+ ± [\\d.]+\n)?$`));
    const result = await evaluate(lm, items, { addSpecialTokens: false });
    const found = JSON.parse(asJson!.stdout) as Record<string, number>;
    expect(found).toMatchObject({
      task: `stories-${name}.jsonl`, kind: name, items: items.length, total: items.length, acc: result.acc.value, acc_stderr: result.acc.stderr,
    });
    expect(found['acc_norm']).toBe(result.kind === 'choices' ? result.accNorm.value : undefined);
    expect(found['perplexity']).toBe(result.kind === 'last-word' ? result.perplexity.value : undefined);
    expect(JSON.parse(limited!.stdout)).toMatchObject({ items: 1, total: 1, acc_stderr: null });
  });

  it('Ctrl-C shows what has been found so far', async () => {
    const lines = readFileSync(repository(task('choices')), 'utf8').repeat(3000);
    await writeFile(join(folder, 'long.jsonl'), lines);
    const interrupt = new AbortController();
    let [time, seen] = [0, 0]; // by this clock every item takes a second, so that each is shown
    const stderr = { isTTY: true, now: () => (time += 1000), write: (text: string) => { if (text.includes('evaluating') && ++seen === 3) interrupt.abort(); } };
    const { code, stdout } = await cliWith({ stderr, signal: interrupt.signal }, 'eval', '--task', join(folder, 'long.jsonl'));
    expect(code).toBe('stopped');
    expect(stdout).toMatch(/^long\.jsonl: multiple choice, [\d,]+ of 36,000 items\nacc +1\.0000 ± 0\.0000\nacc_norm +1\.0000 ± 0\.0000\n$/);
  });

  it('a bad line is named before anything is loaded', async () => {
    await writeFile(join(folder, 'bad.jsonl'), '{"text": "a b"}\n{"text": 7}\n');
    const run = await cli('eval', '--task', join(folder, 'bad.jsonl'), '--model', 'no/such/model');
    expect(run).toMatchObject({ code: 1, stdout: '' });
    expect(run.stderr).toMatch(/^matmulfree: .*bad\.jsonl: line 2: the item "text" is 7, not a string of at least one character\n$/);
  });
});

describe('perplexity', () => {
  it('of a file, as a table and as JSON, streaming and in windows', async () => {
    const file = join(folder, 'story.txt');
    const text = 'Once upon a time there was a naïve cat. 🙂 It liked to sit in the sun.\nOne day it saw a bird.\n'.repeat(25);
    await writeFile(file, text);
    const [table, streaming, windows] = await Promise.all([
      cli('perplexity', '--text-file', file, '--quiet'), cli('perplexity', '--text-file', file, '--json'),
      cli('perplexity', '--text-file', file, '--json', '--context', '64', '--stride', '48'),
    ]);
    const { tokens, nll, perplexity } = lm.score(text);
    const bytes = Buffer.from(text).length;
    expect(JSON.parse(streaming!.stdout)).toEqual({
      tokens, nll, perplexity, bytes, words: text.split(/\s+/).length, bits_per_byte: expect.closeTo(nll / bytes / Math.LN2, 12) as number,
      byte_perplexity: expect.any(Number) as number, word_perplexity: expect.any(Number) as number,
    });
    expect(table).toMatchObject({ code: 0, stderr: '' });
    expect(table!.stdout).toContain(`perplexity      ${perplexity.toFixed(4)} a token`);
    const { text: _, ...figures } = await lm.perplexity(text, { context: 64, stride: 48 });
    expect(JSON.parse(windows!.stdout)).toMatchObject({ context: 64, stride: 48, ...figures });
  });

  it.each([['utf8', 0], ['utf16le', 0], ['utf8', 64]] as const)('tells how much of the file has been scored, not read: %s, --context %i', async (encoding, context) => {
    const file = join(folder, 'read-at-once.txt');
    await writeFile(file, '\ufeffOnce upon a time there was a naïve cat. It liked to sit in the sun.\n'.repeat(60), encoding);
    let time = 0; // by this clock every call takes as long as a line in a pipe
    let text = '';
    const stderr = { now: () => (time += 6000), write: (line: string) => { text += line; } };
    expect((await cliWith({ stderr }, 'perplexity', '--text-file', file, ...(context ? ['--context', String(context)] : []))).code).toBe(0);
    const shares = [...text.matchAll(/^scoring: (\d+)%/gm)].map(([, share]) => Number(share));
    expect(shares.length).toBeGreaterThan(5);
    expect(shares[0]).toBeLessThan(20);
    expect(new Set(shares).size).toBeGreaterThan(5);
    expect(shares).toEqual([...shares].sort((a, b) => a - b));
    expect(shares.at(-1)).toBe(100);
  });
});

it.each([
  [['eval'], 2, /--task/], [['eval', '--task', 'no-such.jsonl'], 1, /cannot read no-such\.jsonl/], [['eval', '--task', 'src'], 1, /cannot read src/],
  [['eval', '--task', task('choices'), '--limit', '0'], 2, /--limit/], [['eval', '--task', task('choices'), '--limit', 'x'], 2, /--limit/],
  [['eval', '--task', 'package.json'], 1, /package\.json: line 1: broken JSON/], [['perplexity'], 2, /--text-file/],
  [['perplexity', '--text-file', 'no-such.txt'], 1, /cannot read no-such\.txt/], [['perplexity', '--text-file', 'src'], 1, /cannot read src: illegal operation/],
  [['perplexity', '--text-file', 'README.md', '--stride', '4'], 2, /--context/], [['perplexity', '--text-file', 'README.md', '--context', '1'], 2, /context is 1/],
  [['perplexity', '--text-file', 'README.md', '--context', '8', '--stride', '9'], 2, /stride is 9, not a whole number from 1 to 8/], [['perplexity', '--text-file', '/dev/null'], 1, /fewer than two/],
] as [string[], number, RegExp][])('%j exits with %i', async (args, code, message) => {
  const run = await cli(...args);
  expect(run).toMatchObject({ code, stdout: '' });
  expect(run.stderr).toMatch(message);
  expect(run.stderr).toMatch(/^matmulfree: [^\n]*\n$/);
});
