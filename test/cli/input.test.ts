import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Writable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MatMulFreeLM, parseTask } from 'matmulfree';
import { decodeText, readInput } from '../../src/cli/input.js';
import type { Io } from '../../src/cli/io.js';
import { built } from '../support/build.js';
import { json } from '../support/checkpoints.js';
import { EMBEDDED, repository } from '../support/files.js';
import { tinyModelWithText } from '../support/naive-generation.js';
import { freshSeed, randomFrom } from '../support/random.js';
import { cli, cliWith, stdinOf, type Run } from '../support/run.js';

let folder: string;
let lm: MatMulFreeLM;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'matmulfree-'));
  lm = await MatMulFreeLM.load(EMBEDDED, { threads: 1 });
});
afterAll(async () => {
  lm.dispose();
  await rm(folder, { recursive: true });
});

/** As editors write a text: the mark first. */
const ENCODINGS: Record<string, (text: string) => Buffer> = {
  'UTF-8': (text) => Buffer.from(text),
  'UTF-8 with a mark': (text) => Buffer.from(`\ufeff${text}`),
  'UTF-16 LE': (text) => Buffer.from(`\ufeff${text}`, 'utf16le'),
  'UTF-16 BE': (text) => Buffer.from(`\ufeff${text}`, 'utf16le').swap16(),
};
const TEXT = 'Once upon a time there was a cat. Ünïcödé, 猫 and 🐈 \ufeff too.\n';
const io: Io = { stdin: stdinOf(), stdout: { write() {} }, stderr: { write() {} }, signal: new AbortController().signal };

describe.each(Object.entries(ENCODINGS))('%s', (_name, encode) => {
  it('is the same text, however it is cut', async () => {
    const seed = freshSeed();
    const random = randomFrom(seed);
    for (const text of ['', 'a', TEXT, TEXT.repeat(50)]) {
      const bytes = encode(text);
      for (let round = 0; round < 20; round++) {
        const chunks: Buffer[] = [];
        for (let at = 0; at < bytes.length; ) {
          const length = random.unit() < 0.5 ? 1 : random.integer(0, 40);
          chunks.push(bytes.subarray(at, at + length));
          at += length;
        }
        let found = '';
        for await (const piece of decodeText(stdinOf(...chunks).bytes())) found += piece;
        expect(found, `SEED=${seed}`).toBe(text);
      }
    }
  });

  it('is read from a file, as tasks and the JSON of a model are', async () => {
    const file = join(folder, 'text.txt');
    await writeFile(file, encode(TEXT.repeat(3000))); // several reads
    expect(await readInput(file, io)).toBe(TEXT.repeat(3000));
    const task = join(folder, 'task.jsonl');
    await writeFile(task, encode('{"text": "a b"}\r\n{"text": "c d"}'));
    expect(parseTask(await readInput(task, io), task)).toEqual([{ text: 'a b' }, { text: 'c d' }]);
    const model = tinyModelWithText(1);
    const recoded = Object.fromEntries(Object.entries(model).map(([part, bytes]) => [part, part.endsWith('.json') ? encode(new TextDecoder().decode(bytes)) : bytes]));
    const [right, other] = await Promise.all([MatMulFreeLM.load(model, { backend: 'scalar' }), MatMulFreeLM.load({ ...recoded, 'generation_config.json': encode('{"top_k": 3}') }, { backend: 'scalar' })]);
    expect(other.generationDefaults).toEqual({ topK: 3 });
    expect(other.score('ab cab')).toEqual(right.score('ab cab'));
  });

  it('scores and constrains by the command line', async () => {
    const [text, schema] = [join(folder, 'some.txt'), join(folder, 'schema.json')];
    await writeFile(text, encode('The cat sat on the mat.'));
    await writeFile(schema, encode('{"type": "integer", "minimum": 7, "maximum": 7}'));
    const { nll } = lm.score('The cat sat on the mat.');
    expect(JSON.parse((await cli('score', '--text-file', text, '--json')).stdout)).toMatchObject({ nll });
    expect(JSON.parse((await cli('perplexity', '--text-file', text, '--json')).stdout)).toMatchObject({ nll, bytes: 23 });
    expect(await cli('generate', 'A cat ', '--json-schema', schema, '--quiet')).toEqual({ code: 0, stdout: 'A cat 7\n', stderr: '' });
  });
});

it('text that is not what its mark says is a broken file of a model', async () => {
  const files = { ...tinyModelWithText(1), 'generation_config.json': Uint8Array.of(0xff, 0xfe, 0x00, 0xd8) };
  await expect(MatMulFreeLM.load(files)).rejects.toThrow(/^generation_config\.json: is not valid UTF-16LE text$/);
  await expect(MatMulFreeLM.load({ ...files, 'generation_config.json': json('\u00e9').map((byte) => byte ^ 0x40) })).rejects.toThrow(/^generation_config\.json: is not valid UTF-8 text$/);
});

const SOME = ['-n', '6', '-t', '0', '--quiet'];
async function continued(prompt: string): Promise<string> {
  let text = prompt;
  for await (const piece of lm.generate(prompt, { maxNewTokens: 6, temperature: 0 })) text += piece;
  return `${text}\n`;
}

describe('stdin', () => {
  it('is the prompt, for - and from a pipe; a prompt that is given goes before it', async () => {
    const expected = { code: 0, stdout: await continued('A dog'), stderr: '' };
    for (const text of ['A dog', 'A dog\n', 'A dog\r\n', Buffer.from('\ufeffA dog\r\n', 'utf16le')]) expect(await cliWith({ stdin: stdinOf(text) }, 'generate', ...SOME)).toEqual(expected);
    expect(await cliWith({ stdin: stdinOf('A ', 'dog') }, 'generate', '-', ...SOME)).toEqual(expected);
    expect(await cliWith({ stdin: stdinOf('A cat') }, 'generate', 'A', 'dog', ...SOME)).toEqual(expected);
  });

  it('that is empty is no prompt; - says so', async () => {
    expect(await cli('generate', ...SOME)).toEqual({ code: 0, stdout: await continued('Once upon a time'), stderr: '' });
    for (const stdin of [stdinOf(), stdinOf('\n')]) {
      const { code, stderr } = await cliWith({ stdin }, 'generate', '-', ...SOME);
      expect({ code, stderr }).toEqual({ code: 2, stderr: 'matmulfree: the prompt is empty; see matmulfree generate --help\n' });
    }
    for (const command of ['score', 'perplexity', 'eval']) {
      const { code, stderr } = await cli(command);
      expect(code).toBe(2);
      expect(stderr).toMatch(new RegExp(`^matmulfree: ${command} takes --(text-file|task) .*from a pipe; see`));
    }
  });

  it('is the text that is scored, ids, a schema, and the items of a task', async () => {
    const text = 'The cat sat on the mat.';
    const { nll } = lm.score(text);
    const item = JSON.stringify({ context: 'The cat sat on the', choices: ['mat', 'moon'], label: 0 });
    for (const args of [['score'], ['score', '-'], ['score', '--text-file', '-'], ['perplexity'], ['perplexity', '-']]) {
      expect(JSON.parse((await cliWith({ stdin: stdinOf('\ufeff', text) }, ...args, '--json')).stdout)).toMatchObject({ nll });
    }
    expect(JSON.parse((await cliWith({ stdin: stdinOf(JSON.stringify([lm.tokenizer.encode(text)])) }, 'score', '--ids', '-', '--json')).stdout)).toMatchObject({ nll });
    expect((await cliWith({ stdin: stdinOf('{"const": 7}') }, 'generate', 'A cat ', '--json-schema', '-', '--quiet')).stdout).toBe('A cat 7\n');
    for (const args of [['eval'], ['eval', '--task', '-']]) expect(JSON.parse((await cliWith({ stdin: stdinOf(item) }, ...args, '--json')).stdout)).toMatchObject({ task: 'stdin', items: 1 });
    expect((await cliWith({ stdin: stdinOf('[1') }, 'score', '--ids', '-')).stderr).toMatch(/^matmulfree: stdin: broken JSON/);
    for (const args of [['story.txt'], ['-', 'more'], ['-', '--text-file', 'x']]) expect((await cli('score', ...args)).stderr).toMatch(/unexpected argument ".*": score takes --text-file or --ids, or - for stdin/);
  });
});

describe('the stdin of a process', () => {
  /** `stdin`: a file that is open, or what is done with a pipe that nobody else closes. */
  function start(args: readonly string[], stdin: number | ((pipe: Writable, interrupt: () => void) => void)): Promise<Run> {
    const child = spawn(process.execPath, [built('src/cli/main.ts'), ...args], { cwd: repository('.'), stdio: [typeof stdin === 'number' ? stdin : 'pipe', 'pipe', 'pipe'] });
    const output = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr'] as const) child[name]!.setEncoding('utf8').on('data', (text: string) => { output[name] += text; });
    if (child.stdin && typeof stdin === 'function') stdin(child.stdin.on('error', () => undefined), () => child.kill('SIGINT'));
    return new Promise((resolve, reject) => child.on('error', reject).on('close', (code) => resolve({ code, ...output })));
  }

  it('may be a pipe with a text, one that nobody closes, or a file', async () => {
    const file = join(folder, 'prompt.txt');
    await writeFile(file, 'A dog\n');
    const opened = openSync(file, 'r');
    const runs = await Promise.all([
      start(['generate', ...SOME], (pipe) => pipe.end('A dog\n')), start(['generate', ...SOME], opened), start(['generate', 'A dog', ...SOME], () => undefined),
    ]);
    closeSync(opened);
    for (const run of runs) expect(run).toEqual({ code: 0, stdout: await continued('A dog'), stderr: '' });
  }, 30_000);

  it('that is empty, silent, or nothing does not keep it waiting', async () => {
    const none = openSync('/dev/null', 'r');
    const runs = await Promise.all([start(['generate', ...SOME], (pipe) => pipe.end()), start(['generate', ...SOME], () => undefined), start(['generate', ...SOME], none)]);
    closeSync(none);
    for (const run of runs) expect(run).toEqual({ code: 0, stdout: await continued('Once upon a time'), stderr: '' });
  }, 30_000);

  it('that does not end is left at Ctrl-C', async () => {
    // More than a pipe holds: once it is all written, it is being read.
    const { code, stdout } = await start(['score', '-'], (pipe, interrupt) => pipe.write('a'.repeat(8_000_000), interrupt));
    expect({ code, stdout }).toEqual({ code: 130, stdout: '' });
  }, 30_000);
});

it('Ctrl-C still tells the seed, which gives the text again', async () => {
  const controller = new AbortController();
  const args = ['generate', 'Tom', '-t', '1.5'];
  let stdout = '';
  const write = (text: string): void => {
    stdout += text;
    if (stdout.length > 60) controller.abort();
  };
  const { code, stderr } = await cliWith({ stdout: { write }, signal: controller.signal }, ...args, '-n', '100000');
  expect(code).toBe('stopped');
  const [, tokens, seed] = /^([\d,]+) tokens · \d+ tokens\/s · backend \w+.* · state 8\.2 kB · seed (\d+)\n$/.exec(stderr) ?? [];
  expect((await cli(...args, '--seed', seed!, '-n', tokens!, '--quiet')).stdout).toBe(stdout);
  const quiet = new AbortController();
  const silent = await cliWith({ stdout: { write: () => quiet.abort() }, signal: quiet.signal }, ...args, '-n', '100000', '--quiet');
  expect(silent).toMatchObject({ code: 'stopped', stderr: '' });
});

it('one token is one token', async () => {
  expect((await cli('generate', '-n', '1', '--seed', '1')).stderr).toMatch(/^1 token · backend /); // there is no speed of one
});
