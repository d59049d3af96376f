import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MatMulFreeLM } from 'matmulfree';
import { CHAT_MODELS } from '../support/chat.js';
import { floatFolder, ggufFiles } from '../support/group-files.js';
import { EMBEDDED, fixture, HAS_SHARED, shared, SHARED_NOTE } from '../support/files.js';
import { cli, cliWith, runScript, startCli } from '../support/run.js';
import { tinyCheckpoint, type Files } from '../support/checkpoints.js';
import { TINY_LLAMA } from '../support/families.js';
import { qwen35Folder, randomQwen35 } from '../support/qwen35.js';
import { randomDecoder, randomQwen3 } from '../support/ternary-models.js';
import { EXAMPLES } from '../prune/models.js';

let folder: string;
beforeAll(async () => { folder = await mkdtemp(join(tmpdir(), 'matmulfree-')); });
afterAll(() => rm(folder, { recursive: true }));

/** Writes a model into a folder of its own. */
async function put(name: string, files: Files): Promise<string> {
  const model = join(folder, name);
  await mkdir(model);
  for (const [file, bytes] of Object.entries(files)) await writeFile(join(model, file), bytes);
  return model;
}

/** One line, no stack trace. */
function expectOneLine(stderr: string): void {
  expect(stderr.trimEnd()).not.toContain('\n');
  expect(stderr).toMatch(/^matmulfree: /);
}

describe('generate', () => {
  it('writes a story, then one line about it', async () => {
    const { code, stdout, stderr } = await cli('generate', '--seed', '3', '-n', '30');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^Once upon a time[\s\S]+\n$/);
    expect(stderr.trimEnd()).toMatch(/^\d+ tokens · \d+ tokens\/s · backend (?:simd|relaxed)(?:, \d+ threads)? · state 8\.2 kB · seed 3$/);
  });

  it('tells no speed where there is nothing to measure', async () => {
    for (const args of [['--choice', '.', '-n', '1'], ['-n', '0'], ['-n', '1']]) {
      expect((await cli('generate', 'A cat', '--threads', '1', '--seed', '1', ...args)).stderr).toMatch(/^[01] tokens? · backend \w+ · state 8\.2 kB · seed 1\n$/);
    }
  });

  it('goes on when nobody reads what it says on the side', async () => {
    const { child, ended } = startCli('generate', '--seed', '3', '-n', '5');
    child.stderr!.destroy();
    const { code, stdout } = await ended;
    expect(code).toBe(0);
    expect(stdout).toMatch(/^Once upon a time/);
  });

  it('repeats itself in another process, and as the library does here', async () => {
    const args = ['generate', 'The dragon', '--seed', '7', '--quiet', '--temperature', '0.9', '--top-k', '30', '-n', '60'];
    const first = await startCli(...args).ended;
    expect(first).toEqual({ code: 0, stdout: (await cli(...args)).stdout, stderr: '' });
    const lm = await MatMulFreeLM.load(EMBEDDED);
    let text = 'The dragon';
    for await (const piece of lm.generate('The dragon', { seed: 7, temperature: 0.9, topK: 30, topP: 0.95, maxNewTokens: 60 })) text += piece;
    expect(first.stdout).toBe(`${text}\n`);
  });

  it('keeps to a constraint, penalties and a limit of time', async () => {
    const schema = join(folder, 'schema.json');
    await writeFile(schema, JSON.stringify({ type: 'object', properties: { age: { type: 'integer', minimum: 1, maximum: 9 } }, required: ['age'] }));
    const [choice, regex, json, penalised] = await Promise.all([
      cli('generate', 'The sky was', '--choice', ' blue', '--choice', ' grey', '--quiet'),
      cli('generate', 'Tom is', '--regex', ' [0-9]{2} years old', '--quiet'),
      cli('generate', 'A cat. ', '--json-schema', schema, '--quiet', '--seed', '1'),
      cli('generate', 'The cat', '-t', '0', '--repetition-penalty', '1.3', '--penalty-window', '64', '-n', '40', '--speculate', '--quiet'),
    ]);
    expect(choice!.stdout).toMatch(/^The sky was (blue|grey)\n$/);
    expect(regex!.stdout).toMatch(/^Tom is [0-9]{2} years old\n$/);
    expect((JSON.parse(json!.stdout.slice('A cat. '.length)) as { age: number }).age).toBeLessThan(10);
    const lm = await MatMulFreeLM.load(EMBEDDED);
    let text = 'The cat';
    for await (const piece of lm.generate(text, { repetitionPenalty: 1.3, penaltyWindow: 64, topP: 0.95, maxNewTokens: 40 })) text += piece;
    expect(penalised!.stdout).toBe(`${text}\n`);
    const limited = await cli('generate', '-n', '100000000', '--max-time', '0.3', '--seed', '1', '-t', '5');
    expect(limited.code).toBe(0);
  });

  it('Ctrl-C ends it at once, with what is there', async () => {
    const run = await runScript('src/cli/main.ts', ['generate', '-n', '100000', '-t', '2', '--top-p', '1'], (kill, stdout) => {
      if (stdout.length > 40) kill('SIGINT');
    });
    expect(run.code).toBe(130);
    expect(run.stdout).toMatch(/^Once upon a time.*\n$/s);
    expect(run.stderr).not.toMatch(/Error| at /);
  });
});

describe('score', () => {
  it('text and ids', async () => {
    const text = 'Once upon a time, there was a little girl.';
    const lm = await MatMulFreeLM.load(EMBEDDED);
    const ids = lm.tokenizer.encode(text);
    await writeFile(join(folder, 'text.txt'), text);
    await writeFile(join(folder, 'ids.json'), JSON.stringify([ids, ids.slice(0, 4)]));
    const fromText = await cli('score', '--text-file', join(folder, 'text.txt'), '--json');
    const { tokens, nll, perplexity } = lm.score(text);
    expect(JSON.parse(fromText.stdout)).toEqual({ sequences: 1, tokens, nll, perplexity: expect.closeTo(perplexity, 9) as number });
    const fromIds = await cli('score', '--ids', join(folder, 'ids.json'), '--json');
    expect(JSON.parse(fromIds.stdout)).toMatchObject({ sequences: 2, tokens: tokens + 3 });
    const plain = await cli('score', '--ids', join(folder, 'ids.json'));
    expect(plain.stdout).toMatch(/2 sequences, \d+ tokens predicted\nnegative log-likelihood [\d.]+ .*\nperplexity [\d.]+\n/);
  });

  it.skipIf(process.platform === 'win32')('Ctrl-C ends it in the middle of a text', async () => {
    const pipe = join(folder, 'long.txt');
    execFileSync('mkfifo', [pipe]);
    let started = 0;
    const { code, stdout, stderr } = await runScript('src/cli/main.ts', ['score', '--text-file', pipe], () => {}, async (kill) => {
      await writeFile(pipe, 'Once upon a time there was a cat. '.repeat(20_000)); // until it is read: the process is up by then
      await wait(300);
      started = performance.now();
      kill('SIGINT');
    });
    expect({ code, stdout, stderr }).toEqual({ code: 130, stdout: '', stderr: '' });
    expect(performance.now() - started).toBeLessThan(20_000);
  });

  it('a model without a tokenizer takes ids, not text', async () => {
    const model = await put('no-tokenizer', tinyCheckpoint());
    await writeFile(join(folder, 'few.json'), '[[1, 2, 3]]');
    await writeFile(join(folder, 'far.json'), '[[1, 99]]');
    expect((await cli('score', '--model', model, '--ids', join(folder, 'few.json'), '--json')).code).toBe(0);
    const text = await cli('score', '--model', model, '--text-file', join(folder, 'few.json'));
    expect(text.code).toBe(1);
    expectOneLine(text.stderr);
    expect(text.stderr).toMatch(/has no tokenizer, so it takes token ids only; matmulfree score takes them \(--ids FILE\.json\)$/m);
    const far = await cli('score', '--model', model, '--ids', join(folder, 'far.json'));
    expect(far).toMatchObject({ code: 1, stdout: '' });
    expectOneLine(far.stderr);
    expect(far.stderr).toMatch(/token id 99/);
    await writeFile(join(folder, 'second.json'), '[[1, 2], [3]]');
    const second = await cli('score', '--model', model, '--ids', join(folder, 'second.json'));
    expect(second.stderr).toMatch(/sequence 2 of 2: score: one token id is too few/);
  });
});

describe('info', () => {
  it('as a table and as JSON', async () => {
    const [table, asJson] = await Promise.all([cli('info'), cli('info', '--json')]);
    expect(table.stdout).toMatch(/ternary weights +7,864,320, 36\.\d % of them zero/);
    const info = JSON.parse(asJson!.stdout) as Record<string, unknown>;
    expect(info).toMatchObject({ tokenizer: true, ternaryWeights: 7_864_320, stateBytes: 8192, parameters: 8_937_984 });
    expect(info['layers']).toHaveLength(9);
    const operations = info['operations'] as Record<string, number>;
    expect(operations['ternaryAdditions']).toBeLessThan(operations['denseMultiplications']!);
  });
});

it.each<[string, Files, RegExp]>([
  ['masters', EXAMPLES[3]!.files, /^floats, quantised by their mean magnitude as they are read \(/],
  ['groups', floatFolder(randomQwen3()), /^floats, ternary in groups of columns, taken as they are \(/],
  ['groups of a Qwen3.5', qwen35Folder(randomQwen35()), /^floats, ternary in groups of columns, taken as they are \(/],
])('info tells what is done with floats: %s', async (name, files, weights) => {
  expect(/^weights +(.*)$/m.exec((await cli('info', '--model', await put(name, files))).stdout)![1]).toMatch(weights);
});

it('--i2s-layout says which layout weights in I2_S have', async () => {
  const model = randomDecoder({ ...TINY_LLAMA, hidden: 128, intermediate: 128, layers: 1, heads: 4, kvHeads: 2, headDim: 32 }, 1);
  const [a, b] = await Promise.all((['I2_S', 'I2_S ARM'] as const).map(async (format) => join(await put(format, ggufFiles(model, { format })), 'model.gguf'))) as [string, string];
  const weights = async (...args: string[]): Promise<string> => (await cli('info', '--weights', ...args)).stdout;
  expect(await weights(b, '--i2s-layout', 'B')).toBe(await weights(a));
  const converted = [`${a}.to.gguf`, `${b}.to.gguf`] as const;
  await cli('convert', '--model', a, '--out', converted[0]);
  await cli('convert', '--model', b, '--out', converted[1], '--i2s-layout', 'B', '--name', 'model');
  expect(await readFile(converted[1])).toEqual(await readFile(converted[0]));
  for (const args of [['info', '--model', b], ['info', '--weights', b], ['convert', '--model', b, '--out', `${b}.x.gguf`]]) {
    expect((await cli(...args, '--i2s-layout', 'C')).stderr).toMatch(/--i2s-layout takes A or B, not "C"/);
  }
});

describe('what a model and a text take, by info and prune', () => {
  const qwen3: Files = floatFolder(randomQwen3());
  it.each<[string, Files, RegExp]>([
    ['a recurrent model', EXAMPLES[0]!.files, /^192 B, whatever its length$/],
    ['one with windows and without', EXAMPLES[2]!.files, /^64 B, and 16 B for each token, and 64 B for each of the last tokens, as many as the windows have$/],
    ['a Transformer', qwen3, /^1\.0 kB for each token$/],
    ['gated delta nets', qwen35Folder(randomQwen35()), /^[\d.]+ kB, and 128 B for each token$/],
  ])('%s', async (name, files, takes) => {
    const model = await put(name, files);
    const [info, prune] = [await cli('info', '--model', model), await cli('prune', '--model', model, '--channel-mixers', '0')];
    const line = (label: string, text: string): string => new RegExp(`^${label} +(.*)$`, 'm').exec(text)![1]!;
    const [text, room] = line('a text takes', info.stdout).split('; there is memory for ');
    expect(text).toMatch(takes);
    expect(line('a text takes', prune.stdout)).toBe(`${text} → ${text}`);
    const labels = info.stdout.split('\n\n')[0]!.split('\n').map((row) => row.split('  ')[0]);
    expect(labels).toEqual([...new Set(labels)]); // none stands twice
    const memory = line('in memory', info.stdout);
    const [all, parts] = memory.split(': ');
    expect(line('in memory', prune.stdout)).toMatch(new RegExp(`^${memory} → `));
    expect(parts!.split(', ').map((part) => part.replace(/^[\d.]+ k?M?B (of|for) /, ''))).toEqual([
      'weights and work space', 'the embedding table', ...(room === undefined ? [] : [`keys and values of ${room.replace(/ of all.*/, '')}`]),
    ]);
    const bytes = (size: string): number => parseFloat(size) * (/ kB/.test(size) ? 1e3 : / MB/.test(size) ? 1e6 : 1);
    expect(parts!.split(', ').reduce((sum, part) => sum + bytes(part), 0) / bytes(all!)).toBeCloseTo(1, 1);
  });
});

describe('convert', () => {
  it('makes the same bytes each time, of both types, and puts them in place whole', async () => {
    const out = join(folder, 'out.gguf');
    await writeFile(out, 'an older file');
    const model = fixture('models/bf16-sharded');
    expect(await cli('convert', '--model', model, '--out', out, '--type', 'TQ1_0', '--quiet')).toEqual({ code: 0, stdout: '', stderr: '' });
    const first = await readFile(out);
    const again = await cli('convert', '--model', model, '--out', out, '--type', 'TQ1_0');
    expect(again.stderr).toMatch(/out\.gguf: .* TQ1_0; checked: \d+ tokens have the same logits as in the source, bit for bit\n$/);
    expect(await readFile(out)).toEqual(first);
    const unchecked = await cli('convert', '--model', model, '--out', out, '--type', 'TQ1_0', '--no-check');
    expect(unchecked.stderr).toMatch(/out\.gguf: .* TQ1_0; not checked\n$/);
    expect(await readFile(out)).toEqual(first);
    const second = await cli('convert', '--model', out, '--out', join(folder, 'two.gguf'));
    expect(second.stderr).toMatch(/two\.gguf: .* TQ2_0/);
    expect((await readdir(folder)).filter((name) => name.includes('partial'))).toEqual([]);
  });

  it('makes a folder of packed safetensors, the same each time, and never writes over one', async () => {
    const model = fixture('models/bf16-sharded');
    const out = join(folder, 'packed');
    const run = await cli('convert', '--model', model, '--out', `${out}/`, '--type', 'safetensors');
    expect(run).toMatchObject({ code: 0, stdout: '' });
    expect(run.stderr).toMatch(/packed\/: .* safetensors; checked: \d+ tokens have the same logits as in the source, bit for bit\n$/);
    const names = (await readdir(out)).sort();
    expect(names).toContain('model.safetensors');
    expect(names).toContain('config.json');
    await mkdir(join(folder, 'empty'));
    expect((await cli('convert', '--model', out, '--out', join(folder, 'empty'), '--type', 'safetensors', '--quiet')).code).toBe(0);
    for (const name of names) expect((await readFile(join(folder, 'empty', name))).equals(await readFile(join(out, name))), name).toBe(true);
    const again = await cli('convert', '--model', model, '--out', out, '--type', 'safetensors');
    expect(again.code).toBe(1);
    expectOneLine(again.stderr);
    expect(again.stderr).toMatch(/cannot write .*packed: there is a folder of that name with files in it/);
    for (const args of [['--out', 'x.gguf'], ['--out', join(folder, 'y'), '--name', 'y']]) {
      expect((await cli('convert', '--model', model, ...args, '--type', 'safetensors')).code).toBe(2);
    }
    const broken = await cli('convert', '--model', join(folder, 'none'), '--out', join(folder, 'z'), '--type', 'safetensors');
    expect(broken.code).toBe(1);
    expect((await readdir(folder)).filter((name) => /partial|^z$/.test(name))).toEqual([]);
  });

  it.each([['progress.gguf', 'TQ1_0'], ['progress', 'safetensors']])('tells of its progress by the name that it gives: %s', async (name, type) => {
    let time = 0; // by this clock every call takes as long as a line in a pipe
    let text = '';
    const stderr = { now: () => (time += 6000), write: (line: string) => { text += line; } };
    await cliWith({ stderr }, 'convert', '--model', fixture('models/bf16-sharded'), '--out', join(folder, name), '--type', type);
    const checked = new Set([...text.matchAll(/^checking (.*): \d+%/gm)].map(([, file]) => file!.split('/').at(-1)));
    expect([...checked]).toEqual(['bf16-sharded', name]);
  });

  it('leaves an older file alone when it fails', async () => {
    const out = join(folder, 'kept.gguf');
    await writeFile(out, 'an older file');
    const model = join(folder, 'broken');
    await mkdir(model);
    const files = tinyCheckpoint();
    files['model.safetensors']!.set([0, 0, 0xc0, 0x7f], files['model.safetensors']!.length - 4); // NaN in the last tensor
    for (const [name, bytes] of Object.entries(files)) await writeFile(join(model, name), bytes);
    const { code, stderr } = await cli('convert', '--model', model, '--out', out);
    expect(code).toBe(1);
    expectOneLine(stderr);
    expect(stderr).toMatch(/NaN/);
    expect(await readFile(out, 'utf8')).toBe('an older file');
    expect((await readdir(folder)).filter((name) => name.includes('partial'))).toEqual([]);
  });

  it('what cannot be written to is told before anything is read', async () => {
    const outs = [
      [join(folder, 'no-such-folder', 'x.gguf'), /cannot write .*x\.gguf.*: no such file or directory/], [join(folder, 'dir.gguf'), /cannot write .*dir\.gguf: is a folder/],
      [join(folder, 'file.gguf', 'x.gguf'), /cannot write .*x\.gguf: not a directory/],
    ] as const;
    await mkdir(join(folder, 'dir.gguf'));
    await writeFile(join(folder, 'file.gguf'), '');
    for (const [out, message] of outs) {
      const { code, stderr } = await cli('convert', '--model', 'no/such/model', '--out', out);
      expect(code).toBe(1);
      expectOneLine(stderr);
      expect(stderr).toMatch(message);
    }
    const { stderr } = await cli('convert', '--model', 'no/such/model', '--out', join(folder, 'x.gguf'));
    expect(stderr).toMatch(/no\/such\/model: no such file or folder/);
    expect((await readdir(folder)).filter((name) => /^x\.gguf|partial/.test(name))).toEqual([]);
  });

  it.each([['SIGINT', 130], ['SIGTERM', 143]] as const)('%s leaves the older file, and nothing else', async (signal, code) => {
    const place = await mkdtemp(join(folder, 'stopped-'));
    const out = join(place, 'out.gguf');
    await writeFile(out, 'an older file');
    const run = await runScript('src/cli/main.ts', ['convert', '--model', EMBEDDED, '--out', out], () => {}, async (kill) => {
      while ((await readdir(place)).length < 2) await wait(1);
      kill(signal);
    });
    expect(run).toEqual({ code, stdout: '', stderr: '' });
    expect(await readdir(place)).toEqual(['out.gguf']);
    expect(await readFile(out, 'utf8')).toBe('an older file');
  });

  it.skipIf(!HAS_SHARED)(`makes the embedded model from its checkpoint, byte for byte${SHARED_NOTE}`, async () => {
    const out = join(folder, 'tinystories-9m.gguf');
    await cli('convert', '--model', shared('models/tinystories-9m'), '--out', out, '--type', 'TQ1_0', '--name', 'tinystories-9m');
    expect((await readFile(out)).equals(await readFile(EMBEDDED))).toBe(true);
  });
});

describe('the command line', () => {
  it('the embedded model is at most 4.5 MB', async () => {
    expect((await readFile(EMBEDDED)).length).toBeLessThanOrEqual(4.5e6);
  });

  it('--help teaches', async () => {
    const general = await cli('--help');
    expect(general.code).toBe(0);
    expect((await cli('--version')).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
    expect((await cli('help', 'score')).stdout).toMatch(/^Usage: matmulfree score/);
    // The same prompt gives another text there.
    expect((await cli('generate', '--help')).stdout).toMatch(/serve .*temperature 1, top-p 1.* library .*temperature 0/);
    expect((await cli('serve', '--help')).stdout).toMatch(/temperature 1 and top_p 1.* 16 tokens of\s\/v1\/completions/);
    for (const command of ['generate', 'score', 'perplexity', 'eval', 'info', 'convert', 'cache']) {
      expect(general.stdout).toContain(command);
      const help = await cli(command, '--help');
      expect(help).toMatchObject({ code: 0, stderr: '' });
      expect(help.stdout).toMatch(/^Usage: matmulfree /);
    }
  });

  it('a prompt that is too long is no error of the command line', async () => {
    const model = await put('transformer', CHAT_MODELS[1]!.files(7));
    const run = await cli('generate', 'once '.repeat(1000), '--model', model, '--threads', '1', '--context-tokens', '64');
    expect(run).toMatchObject({ code: 1, stdout: '' });
    expectOneLine(run.stderr);
    expect(run.stderr).not.toContain('--help');
    const short = await cli('generate', 'once '.repeat(60), '--model', model, '--threads', '1', '--context-tokens', '64');
    expect(short.stderr).toMatch(/there is memory for 64; load the model with more contextTokens \(--context-tokens N\)$/m);
    expect((await cli('generate', '--model', model, '--context-tokens', '0')).stderr).toMatch(/contextTokens is 0.*; see matmulfree generate --help$/m);
  });

  it.each([
    [[], 2, /Usage/], [['dance'], 2, /unknown command "dance"/], [['generate', '--sed', '7'], 2, /--sed/],
    [['generate', '--seed', 'x'], 2, /--seed takes a number, not "x"/], [['generate', '--top-p', '2'], 2, /topP is 2/],
    [['generate', ''], 2, /prompt is empty/], [['generate', '--temperature', '-1'], 2, /'--temperature <value>' argument is ambiguous|temperature/], [['score'], 2, /--text-file or --ids/], [['convert', '--model', 'x'], 2, /--out/],
    [['convert', '--model', 'x', '--out', 'x.bin'], 2, /--out x\.bin: the name must end in \.gguf, or give --type safetensors for a folder; see/],
    [['generate', '--model', 'no/such/model'], 1, /no such file or folder/], [['score', '--text-file', 'no-such.txt'], 1, /no-such\.txt/],
    [['score', '--ids', 'package.json'], 1, /array of arrays/], [['score', '--text-file', 'src'], 1, /cannot read src: illegal operation on a directory/], [['info', '--model', 'package.json'], 1, /package\.json/],
    [['generate', '--regex', '('], 2, /constraint: regex/], [['generate', '--regex', 'a', '--choice', 'b'], 2, /one of --choice/],
    [['generate', '--json-schema', 'README.md'], 2, /README\.md: /], [['generate', '--json-schema', 'no-such.json'], 1, /no-such\.json/],
    [['generate', '--top-k', '0.5'], 2, /topK is 0\.5.*; see matmulfree generate --help$/m],
    [['info', '--backend', 'quantum'], 1, /"quantum" is not available/],
  ] as [string[], number, RegExp][])('%j exits with %i', async (args, code, message) => {
    const run = await cli(...args);
    expect(run).toMatchObject({ code, stdout: '' });
    expect(run.stderr).toMatch(message);
    if (args.length > 0) expectOneLine(run.stderr);
  });
});
