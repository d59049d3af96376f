import { execFileSync } from 'node:child_process';
import fs from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, sep } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ConfigError, FormatError, inspect, MatMulFreeLM, SourceError } from 'matmulfree';
import { json, randomTensors, safetensors, TINY, tinyCheckpoint, type Files } from '../support/checkpoints.js';
import { expectNoPollution, ODD_NAMES } from '../support/fuzz.js';
import { gguf, modelMetadata, modelTensors } from '../support/gguf-files.js';
import { torchFromFloats } from '../support/torch-file.js';

/** A folder to play in, with the model's folder inside of it and something secret beside that. */
let root: string;
let folder: string;
/** Every path that is opened or looked at. */
let touched: string[];

beforeEach(async () => {
  root = await fs.mkdtemp(join(tmpdir(), 'matmulfree-paths-'));
  folder = join(root, 'model');
  await fs.mkdir(folder);
  await fs.writeFile(join(root, 'secret.safetensors'), safetensors(randomTensors(TINY, 1)));
  touched = [];
  for (const name of ['open', 'stat', 'readFile', 'writeFile', 'mkdir', 'readdir'] as const) {
    const original = fs[name] as (...args: unknown[]) => unknown;
    vi.spyOn(fs as unknown as Record<string, (...args: unknown[]) => unknown>, name).mockImplementation((...args) => {
      touched.push(String(args[0]));
      return original.apply(fs, args);
    });
  }
});

afterEach(async () => {
  vi.restoreAllMocks();
  await fs.rm(root, { recursive: true });
});

async function put(files: Files, into = folder): Promise<void> {
  for (const [name, bytes] of Object.entries(files)) await fs.writeFile(join(into, name), bytes);
  touched.length = 0;
}

async function failure(action: Promise<unknown>): Promise<Error> {
  const error: unknown = await action.then(() => undefined, (reason: unknown) => reason);
  expect(error).toBeInstanceOf(Error);
  return error as Error;
}

/** Nothing but the model's folder, and what is in it, was touched. */
function expectInside(): void {
  for (const path of touched) expect(path === folder || path.startsWith(folder + sep), path).toBe(true);
  expect(touched.length).toBeGreaterThan(0);
}

describe('a weight map', () => {
  it.each([
    '../secret.safetensors', '..', '.', '', '/etc/passwd', '/dev/zero', 'sub/../../secret.safetensors', 'sub/x.safetensors', '..\\secret.safetensors', 'C:\\secret', 'c:secret', '\\\\host\\share',
    'secret.safetensors\0.safetensors', 'CON', 'nul.safetensors', 'com1.safetensors', 'aux', 'x.', 'x ', '.hidden', '‥／secret.safetensors', '．．／secret.safetensors', 'x'.repeat(300),
  ])('that names %j leads nowhere', async (name) => {
    await put({ ...tinyCheckpoint(), 'model.safetensors.index.json': json({ weight_map: { 'lm_head.weight': name } }) });
    await fs.rm(join(folder, 'model.safetensors'));
    for (const open of [MatMulFreeLM.load, inspect]) {
      const error = await failure(open(folder));
      expect(error).toBeInstanceOf(FormatError);
      expect(error.message).toMatch(/^model\.safetensors\.index\.json: tensor "lm_head\.weight" names .*, not a plain file name$/u);
      expect(error.message.length).toBeLessThan(400);
    }
    expectInside();
  });

  it('may have keys that mean something to JavaScript', async () => {
    const tensors = { ...randomTensors(TINY, 1) };
    const map = Object.keys(tensors).map((name) => `${JSON.stringify(name)}:"a.safetensors"`).join();
    for (const key of ['__proto__', 'constructor', 'toString']) {
      await put({ 'config.json': tinyCheckpoint()['config.json']!, 'a.safetensors': safetensors(tensors), 'model.safetensors.index.json': json(`{"__proto__":{"polluted":1},"weight_map":{${map},"${key}":"a.safetensors"}}`) });
      expect((await failure(MatMulFreeLM.load(folder))).message).toBe(`model.safetensors.index.json: tensor "${key}" is not in "a.safetensors"`);
    }
    await put({ 'model.safetensors.index.json': json(`{"weight_map":{${map}}}`) });
    await MatMulFreeLM.load(folder);
    expectNoPollution();
  });
});

it('tensors, metadata and JSON keys of any name do nothing, and messages quote them in short', async () => {
  const messages: string[] = [];
  for (const name of ODD_NAMES) {
    const tensors = { ...randomTensors(TINY, 1) };
    Object.defineProperty(tensors, name, { value: { shape: [1], values: new Float32Array(1) }, enumerable: true });
    messages.push((await failure(MatMulFreeLM.load({ ...tinyCheckpoint(), 'model.safetensors': safetensors(tensors) }))).message);
    messages.push((await failure(MatMulFreeLM.load({ 'config.json': tinyCheckpoint()['config.json']!, 'pytorch_model.bin': torchFromFloats(tensors) }))).message);
    const metadata = { ...modelMetadata(TINY) };
    Object.defineProperty(metadata, name, { value: ['string', 'gpt2'], enumerable: true });
    await MatMulFreeLM.load(gguf({ metadata, tensors: modelTensors(randomTensors(TINY, 1)) }));
    const config = new TextDecoder().decode(tinyCheckpoint()['config.json']).replace('{', `{${JSON.stringify(name)}:{"model_type":"x","use_short_conv":true,"polluted":1},`);
    await MatMulFreeLM.load({ ...tinyCheckpoint(), 'config.json': json(config), 'generation_config.json': json(`{${JSON.stringify(name)}:{"eos_token_id":7}}`) });
  }
  for (const message of messages) {
    expect(message).toMatch(/does not belong to a model of this configuration|occurs twice/);
    expect(message.length).toBeLessThan(400);
    expect(message).not.toMatch(/[\p{Cc}\p{Cf}\p{Cs}]/u);
  }
  expectNoPollution();
});

it('messages stay on one line, with nothing in them that a terminal obeys', async () => {
  const hostile = '\u001b[2J\r\n\u009b\u202e\u2028';
  for (const files of [
    { ...tinyCheckpoint(), 'config.json': json(`{"a": ${hostile}}`) },
    { ...tinyCheckpoint(), 'config.json': json({ model_type: hostile }) },
    { ...tinyCheckpoint(), 'tokenizer.json': json({ model: { type: hostile } }) },
    { ...tinyCheckpoint(), 'tokenizer.json': json({ model: { type: 'BPE', vocab: { a: 0 }, merges: [] }, pre_tokenizer: { type: 'Split', behavior: 'Isolated', pattern: { Regex: `(?${hostile})` } } }) },
    { [hostile]: json('x') },
  ] as Files[]) {
    const { message } = await failure(MatMulFreeLM.load(files));
    expect(message).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}]/u);
    expect(message).toMatch(/\\u/);
  }
});

describe.skipIf(process.platform === 'win32')('what lies in the folder under a model\'s name', () => {
  const names = ['config.json', 'model.safetensors', 'model.safetensors.index.json', 'pytorch_model.bin', 'tokenizer.json'];

  it.each(names.flatMap((name) => [[name, 'a folder'], [name, 'a pipe'], [name, 'a device']]))('%s: %s is no file, and is not waited for', async (name, kind) => {
    const files = tinyCheckpoint();
    if (name !== 'config.json' && name !== 'tokenizer.json') delete files['model.safetensors'];
    delete files[name!];
    await put(files);
    const path = join(folder, name!);
    if (kind === 'a folder') await fs.mkdir(path);
    else if (kind === 'a pipe') execFileSync('mkfifo', [path]);
    else await fs.symlink('/dev/zero', path);
    const error = await failure(MatMulFreeLM.load(folder));
    expect(error).toBeInstanceOf(SourceError);
    expect(error.message).toContain(`${name}: is not a file`);
  });

  it('a folder called like a GGUF file', async () => {
    await fs.mkdir(join(folder, 'm.gguf'));
    expect((await failure(MatMulFreeLM.load(folder))).message).toMatch(/m\.gguf: is not a file$/);
  });

  it('links into another folder work, as in Hugging Face\'s cache', async () => {
    const blobs = join(root, 'blobs');
    await fs.mkdir(blobs);
    await put(tinyCheckpoint(), blobs);
    for (const name of Object.keys(tinyCheckpoint())) await fs.symlink(join('..', 'blobs', name), join(folder, name));
    expect((await MatMulFreeLM.load(folder)).config.hiddenSize).toBe(12);
  });

  it('links that lead nowhere, or in a circle', async () => {
    await put({ 'config.json': tinyCheckpoint()['config.json']! });
    await fs.symlink('gone', join(folder, 'model.safetensors'));
    expect((await failure(MatMulFreeLM.load(folder))).message).toMatch(/neither model\.safetensors nor/);
    await fs.rm(join(folder, 'model.safetensors'));
    await fs.symlink('model.safetensors', join(folder, 'model.safetensors'));
    expect(await failure(MatMulFreeLM.load(folder))).toBeInstanceOf(SourceError);
  });
});

describe('a Git LFS pointer in place of', () => {
  const pointer = json(`version https://git-lfs.github.com/spec/v1\noid sha256:${'0'.repeat(64)}\nsize 740000000\n`);
  const config = tinyCheckpoint()['config.json']!;
  it.each<[string, Files, string]>([
    ['model.safetensors', { 'config.json': config, 'model.safetensors': pointer }, 'model.safetensors'],
    ['a shard', { 'config.json': config, 'model.safetensors.index.json': json({ weight_map: { x: 'a.safetensors' } }), 'a.safetensors': pointer }, 'a.safetensors'],
    ['pytorch_model.bin', { 'config.json': config, 'pytorch_model.bin': pointer }, 'pytorch_model.bin'],
    ['a .gguf file', { 'm.gguf': pointer }, 'm.gguf'],
    ['a single file of any name', { 'weights.bin': pointer }, 'weights.bin'],
    ['the index', { 'config.json': config, 'model.safetensors.index.json': pointer }, 'model.safetensors.index.json'],
    ['tokenizer.json', { ...tinyCheckpoint(), 'tokenizer.json': pointer }, 'tokenizer.json'],
    ['config.json', { ...tinyCheckpoint(), 'config.json': pointer }, 'config.json'],
  ])('%s is called by its name', async (_what, files, name) => {
    const error = await failure(MatMulFreeLM.load(files));
    expect(error).toBeInstanceOf(FormatError);
    expect(error.message).toBe(`${name}: is a Git LFS pointer, not the file itself; fetch that with "git lfs pull" in its folder, or download the file`);
  });
  it('a file is told by inspect too', async () => {
    for (const name of ['a.safetensors', 'a.bin', 'a.gguf']) expect((await failure(inspect({ [name]: pointer }))).message).toContain('git lfs pull');
  });
});

describe('memory', () => {
  /** A file with a million values in place of `"?"`. */
  const crowded = (text: string): Uint8Array => json(text.replace('"?"', `[${'{},'.repeat(2 ** 20)}{}]`));

  it('is not filled by JSON with very many small values', async () => {
    const cases: [Files, RegExp][] = [
      [{ ...tinyCheckpoint(), 'config.json': crowded('{"x":"?"}') }, /^config\.json: holds more than 1048576 values$/],
      [{ ...tinyCheckpoint(), 'generation_config.json': crowded('{"x":"?"}') }, /^generation_config\.json: holds more/],
      [{ 'config.json': tinyCheckpoint()['config.json']!, 'model.safetensors.index.json': crowded('{"weight_map":{"x":"?"}}') }, /index\.json: holds more/],
    ];
    for (const [files, message] of cases) {
      const error = await failure(MatMulFreeLM.load(files));
      expect(error).toBeInstanceOf(FormatError);
      expect(error.message).toMatch(message);
    }
  });

  it('is not asked for by a vocabulary out of all proportion to the width', async () => {
    // 64 positions of logits for a small file.
    const config = json({ hidden_size: 1, vocab_size: 2 ** 22, intermediate_size: 1, num_hidden_layers: 1 });
    const error = await failure(MatMulFreeLM.load({ ...tinyCheckpoint(), 'config.json': config }));
    expect(error).toBeInstanceOf(ConfigError);
    expect(error.message).toBe('config.json: vocab_size is 4194304, more than 1024 times hidden_size, 1');
  });

  it('is not asked for by a list of stop tokens', async () => {
    const error = await failure(MatMulFreeLM.load({ ...tinyCheckpoint(), 'generation_config.json': json({ eos_token_id: Array<number>(1000).fill(1) }) }));
    expect(error.message).toBe('config.json: eos_token_id is a list of 1000, not a token id or a list of at most 256');
  });
});
