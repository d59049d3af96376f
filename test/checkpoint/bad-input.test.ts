import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  ArgumentError, BackendError, ConfigError, convert, FormatError, MatMulFreeLM, SourceError, TokenizerError,
} from 'matmulfree';
import { assemble, configJson, json, randomTensors, safetensors, TINY, tinyCheckpoint, type Files, type HeaderEntry } from '../support/checkpoints.js';
import { EMBEDDED, fixture } from '../support/files.js';

type ErrorClass = new (message?: string) => Error;

/** Loading fails with exactly this kind of error, and says this. */
async function refuses(files: Parameters<typeof MatMulFreeLM.load>[0], kind: ErrorClass, message: RegExp): Promise<void> {
  const error = await MatMulFreeLM.load(files, { threads: 1 }).then((lm) => lm.dispose(), (reason: unknown) => reason);
  expect(error).toBeInstanceOf(kind);
  expect((error as Error).message).toMatch(message);
  expect((error as Error).message).not.toMatch(/\n|undefined|\[object/);
}

const withHeader = (edit: (header: Record<string, HeaderEntry>) => void): Files => ({
  ...tinyCheckpoint(), 'model.safetensors': safetensors(randomTensors(TINY, 1), edit),
});
const withConfig = (extra: Record<string, unknown>): Files => tinyCheckpoint(TINY, 1, extra);

async function collect(chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const chunk of chunks) parts.push(chunk);
  return new Uint8Array(await new Blob(parts as Uint8Array<ArrayBuffer>[]).arrayBuffer());
}

it('the checkpoint that the cases below spoil is good', async () => {
  const lm = await MatMulFreeLM.load(tinyCheckpoint());
  expect(lm.forward([1, 2], lm.createState())).toHaveLength(11);
});

describe('sources', () => {
  it('nothing at the path', () => refuses('no/such/place', SourceError, /no\/such\/place: no such file or folder/));
  it('an empty path', () => refuses('', ArgumentError, /path is empty/));
  it('no model in the files', () => refuses({ 'readme.txt': json('hi') }, SourceError, /holds no model.*readme\.txt/));
  it('a folder without weights', () =>
    refuses({ 'config.json': json(configJson(TINY)) }, SourceError, /neither model\.safetensors nor model\.safetensors\.index\.json/));
  it('no model of the Hub', () => refuses('hf:someone', ArgumentError, /hf:owner\/name/));
  it('something else altogether', () => refuses(7 as never, ArgumentError, /give a path/));
  it('a file of the wrong kind', () => refuses({ a: 7 } as never, ArgumentError, /"a" is not/));
  it('arguments of another kind, each with a typed error', async () => {
    await refuses([1, 2] as never, ArgumentError, /not a File/);
    await refuses(null as never, ArgumentError, /got null/);
    await refuses('file://elsewhere/x', SourceError, /host/);
    await expect(MatMulFreeLM.load(tinyCheckpoint(), null as never)).rejects.toThrow(ArgumentError);
    const lm = await MatMulFreeLM.load(tinyCheckpoint());
    const state = lm.createState();
    expect(() => lm.forward(undefined as never, state)).toThrow(/ids are undefined/);
    expect(() => lm.forward(1, {} as never)).toThrow(/createState/);
    expect(() => lm.forward(1, state, { al: true } as never)).toThrow(/unknown option "al"/);
    expect(() => lm.restoreState('x' as never)).toThrow(ArgumentError);
    expect(lm.restoreState(state.serialize().buffer as ArrayBuffer).tokens).toBe(0);
  });
  it.skipIf(process.platform === 'win32')('a pipe in place of a file', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'matmulfree-'));
    try {
      await writeFile(join(folder, 'config.json'), json(configJson(TINY)));
      execFileSync('mkfifo', [join(folder, 'model.safetensors')]);
      await refuses(folder, SourceError, /model\.safetensors: is not a file/);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
  it('a GGUF file beside a configuration is found', async () => {
    const gguf = await collect(convert(tinyCheckpoint(), {}));
    const lm = await MatMulFreeLM.load({ 'config.json': json(configJson(TINY)), 'model.gguf': gguf, 'README.md': json('hi') });
    expect(lm.config.vocabSize).toBe(11);
  });
  it('an unknown option', async () => {
    await expect(MatMulFreeLM.load(tinyCheckpoint(), { bakend: 'scalar' } as never)).rejects.toThrow(/unknown option "bakend"/);
  });
  it('an unknown backend', async () => {
    const error = await MatMulFreeLM.load(tinyCheckpoint(), { backend: 'quantum' as 'scalar' }).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(BackendError);
    expect(String(error)).toMatch(/"quantum" is not available/);
  });
  it('an aborted signal', async () => {
    const reason = new Error('enough');
    await expect(MatMulFreeLM.load(tinyCheckpoint(), { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  });
  it('a signal aborted by a timer while a model loads from memory', async () => {
    const gguf = new Uint8Array(readFileSync(EMBEDDED));
    await expect(MatMulFreeLM.load(gguf, { signal: AbortSignal.timeout(1) })).rejects.toMatchObject({ name: 'TimeoutError' });
  });
  it('a signal aborted in the middle', async () => {
    const controller = new AbortController();
    const load = MatMulFreeLM.load(tinyCheckpoint(), {
      signal: controller.signal, onProgress: ({ loaded, total }) => loaded > total / 2 && controller.abort(),
    });
    await expect(load).rejects.toMatchObject({ name: 'AbortError' });
  });
});

describe('config.json', () => {
  it('broken JSON', () => refuses({ ...tinyCheckpoint(), 'config.json': json('{"a": ') }, FormatError, /config\.json: broken JSON/));
  it('not an object', () => refuses({ ...tinyCheckpoint(), 'config.json': json('[1]') }, FormatError, /config\.json: must hold a JSON object/));
  it('not UTF-8', () => refuses({ ...tinyCheckpoint(), 'config.json': Uint8Array.of(0x7b, 0xff, 0x7d) }, FormatError, /not valid UTF-8/));
  it('unknown model_type', () => refuses(withConfig({ model_type: 'mamba' }), ConfigError, /model_type is "mamba"; only "hgrn_bit", /));
  it('use_short_conv', () => refuses(withConfig({ use_short_conv: true }), ConfigError, /use_short_conv is true/));
  it('tied embeddings', () => refuses(withConfig({ tie_word_embeddings: true }), ConfigError, /tie_word_embeddings/));
  it('another activation', () => refuses(withConfig({ hidden_act: 'gelu' }), ConfigError, /hidden_act is "gelu"/));
  it.each([
    ['hidden_size', 0], ['hidden_size', 1e9], ['hidden_size', 'big'], ['vocab_size', -1], ['vocab_size', 2 ** 40],
    ['num_hidden_layers', 1.5], ['num_hidden_layers', 1e12], ['intermediate_size', 1e9], ['rms_norm_eps', 0],
    ['rms_norm_eps', '1e-6'], ['use_lower_bound', 'yes'], ['expand_ratio', -2], ['expand_ratio', 2], ['eos_token_id', 'x'],
    ['bos_token_id', -1],
  ])('%s: %j', (key, value) => refuses(withConfig({ [key]: value }), ConfigError, new RegExp(key)));
  it('a value nested without end, or as long as a book, in a short message', async () => {
    const deep = `{"model_type": ${'['.repeat(100_000)}${']'.repeat(100_000)}}`;
    await refuses({ ...tinyCheckpoint(), 'config.json': json(deep) }, ConfigError, /^config\.json: model_type is a list of 1; .{1,150}$/);
    await refuses(withConfig({ hidden_size: 'x'.repeat(1e6) }), ConfigError, /^.{1,200}$/);
    await refuses(withHeader((h) => { h['lm_head.weight']!.dtype = 'y'.repeat(1e6); }), FormatError, /^.{1,250}$/);
  });
  it('keys on the prototype do nothing', async () => {
    const text = JSON.stringify(configJson(TINY)).replace('{', '{"__proto__": {"use_short_conv": true, "polluted": 1}, ');
    await MatMulFreeLM.load({ ...tinyCheckpoint(), 'config.json': json(text) });
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  });
});

describe('safetensors', () => {
  const good = tinyCheckpoint()['model.safetensors']!;
  const withWeights = (bytes: Uint8Array): Files => ({ ...tinyCheckpoint(), 'model.safetensors': bytes });
  const name = 'model.layers.0.attn.i_proj.weight';

  it('truncated at every kind of place', async () => {
    const headerEnd = 8 + new DataView(good.buffer).getUint32(0, true);
    for (const length of [0, 3, 8, 9, 200, headerEnd - 1, headerEnd, headerEnd + 1, good.length - 4, good.length - 1]) {
      await refuses(withWeights(good.slice(0, length)), FormatError, /model\.safetensors/);
    }
  });
  it('a header longer than the file', () => refuses(withWeights(assemble('{}', new Uint8Array(4), 1e7)), FormatError, /claims 10000000 bytes/));
  it('a header of 2⁶³ bytes', () => refuses(withWeights(assemble('{}', new Uint8Array(4), 2 ** 63)), FormatError, /claims/));
  it('broken header JSON', () => refuses(withWeights(assemble('{"a":', new Uint8Array(0))), FormatError, /broken JSON/));
  it('bytes after the data', () => refuses(withWeights(Uint8Array.from([...good, 1, 2])), FormatError, /2 bytes after/));
  it('overlapping offsets', () =>
    refuses(withHeader((h) => { h['model.norm.weight']!.data_offsets = [...h[name]!.data_offsets].map((o, i) => i ? o - 528 : o) as [number, number]; }),
      FormatError, /overlaps|belong to no tensor/));
  it('a tensor twice', () => {
    const text = new TextDecoder().decode(good.slice(8, 8 + new DataView(good.buffer).getUint32(0, true)));
    const entry = /"lm_head\.norm\.weight":\{[^}]*\}/.exec(text)![0];
    const data = good.slice(8 + text.length);
    return refuses(withWeights(assemble(text.replace(/\}$/, `,${entry}}`), data)), FormatError, /"lm_head\.norm\.weight" occurs twice/);
  });
  it('a hole', () => refuses(withHeader((h) => { delete h[name]; }), FormatError, /belong to no tensor/));
  it('offsets beyond the file', () =>
    refuses(withHeader((h) => { h[name]!.data_offsets = [1e9, 1e9 + 576]; }), FormatError, /i_proj\.weight".*truncated/));
  it('begin after end', () => refuses(withHeader((h) => { h[name]!.data_offsets.reverse(); }), FormatError, /not \[begin, end\]/));
  it('negative and fractional sizes', async () => {
    await refuses(withHeader((h) => { h[name]!.shape = [-12, -12]; }), FormatError, /shape/);
    await refuses(withHeader((h) => { h[name]!.shape = [14.4, 10]; }), FormatError, /shape/);
  });
  it('sizes that disagree with the shape', () => refuses(withHeader((h) => { h[name]!.shape = [12, 11]; }), FormatError, /needs 528 bytes/));
  it('an unknown dtype', () => refuses(withHeader((h) => { h[name]!.dtype = 'F7'; }), FormatError, /i_proj\.weight": unknown dtype "F7"/));
  it('a dtype that is no float', () => refuses(withHeader((h) => { h[name]!.dtype = 'I32'; }), FormatError, /dtype I32.*F32, F16 or BF16/));
  it('an entry that is no object', () => refuses(withHeader((h) => { h[name] = 5 as never; }), FormatError, /not an object/));

  const withTensors = (edit: (tensors: ReturnType<typeof randomTensors>) => void): Files => {
    const tensors = randomTensors(TINY, 1);
    edit(tensors);
    return withWeights(safetensors(tensors));
  };
  it('a missing tensor', () => refuses(withTensors((t) => { delete t['lm_head.norm.weight']; }), ConfigError, /"lm_head\.norm\.weight" \[12\] is missing/));
  it('an extra tensor', () =>
    refuses(withTensors((t) => { t['model.layers.2.attn_norm.weight'] = { shape: [12], values: new Float32Array(12) }; }), ConfigError, /layers\.2\.attn_norm.*does not belong/));
  it('a wrong shape', () =>
    refuses(withTensors((t) => { t[name] = { shape: [6, 24], values: new Float32Array(144) }; }), ConfigError, /shape \[6,24\], the configuration asks for \[12,12\]/));
  it.each([NaN, Infinity, -Infinity])('%d in a ternary weight, a norm, the table, the bounds', async (bad) => {
    for (const tensor of [name, 'model.norm.weight', 'model.embeddings.weight', 'model.lower_bounds']) {
      const spoil = withTensors((t) => { (t[tensor]!.values as Float32Array)[5] = bad; });
      await refuses(spoil, FormatError, new RegExp(`${tensor.replaceAll('.', '\\.')}" holds ${bad}`));
    }
  });
});

describe('shards', () => {
  const folder = fixture('models/bf16-sharded');
  const files = (): Files => Object.fromEntries(
    ['config.json', 'model.safetensors.index.json', 'model-00001-of-00003.safetensors', 'model-00002-of-00003.safetensors', 'model-00003-of-00003.safetensors']
      .map((file) => [file, new Uint8Array(readFileSync(`${folder}/${file}`))]),
  );
  const withIndex = (edit: (map: Record<string, unknown>) => void): Files => {
    const index = JSON.parse(readFileSync(`${folder}/model.safetensors.index.json`, 'utf8')) as { weight_map: Record<string, unknown> };
    edit(index.weight_map);
    return { ...files(), 'model.safetensors.index.json': json(index) };
  };

  it('load from memory as from disk', async () => {
    const a = await MatMulFreeLM.load(files());
    const b = await MatMulFreeLM.load(folder);
    expect(a.info().fingerprint).toBe(b.info().fingerprint);
  });
  it('a missing shard', async () => {
    const broken = files();
    delete broken['model-00002-of-00003.safetensors'];
    await refuses(broken, FormatError, /shard "model-00002-of-00003\.safetensors".*missing/);
  });
  it.each(['../secret', '/etc/passwd', 'a/b.safetensors', 'a\\b', '..', 'C:x', ''])('a path that leaves the folder: %j', (path) =>
    refuses(withIndex((map) => { map['lm_head.weight'] = path; }), FormatError, /not a plain file name/));
  it('a tensor that is in no shard', () => refuses(withIndex((map) => { map['more'] = 'model-00001-of-00003.safetensors'; }), FormatError, /"more" is not in/));
  it('an index that swaps shards', () =>
    refuses(withIndex((map) => { map['lm_head.weight'] = 'model-00001-of-00003.safetensors'; }), FormatError, /"lm_head\.weight" is not in "model-00001.*but in "model-00002/));
  it('a broken index', () => refuses({ ...files(), 'model.safetensors.index.json': json('{}') }, FormatError, /weight_map/));
  it('a tensor in two shards', async () => {
    const twice = files();
    twice['model-00002-of-00003.safetensors'] = twice['model-00001-of-00003.safetensors']!;
    await refuses(twice, FormatError, /is in "model-00001-of-00003\.safetensors" too/);
  });
});

describe('tokenizers', () => {
  const tokenizer = (tokens: number): Uint8Array => json({
    added_tokens: [], normalizer: null, pre_tokenizer: null, post_processor: null, decoder: null,
    model: { type: 'BPE', vocab: Object.fromEntries(Array.from({ length: tokens }, (_, id) => [String.fromCharCode(97 + id), id])), merges: [] },
  });

  it('more tokens than the vocabulary', () =>
    refuses({ ...tinyCheckpoint(), 'tokenizer.json': tokenizer(12) }, ConfigError, /tokenizer\.json: has 12 tokens.*vocabulary of 11/));
  it('far fewer', () =>
    refuses({ ...tinyCheckpoint({ ...TINY, vocab: 2000 }), 'tokenizer.json': tokenizer(11) }, ConfigError, /has 11 tokens/));
  it('broken JSON', () => refuses({ ...tinyCheckpoint(), 'tokenizer.json': json('nope') }, FormatError, /tokenizer\.json: broken JSON/));
  it('a model without one takes ids, and says so when given text', async () => {
    const lm = await MatMulFreeLM.load(tinyCheckpoint());
    expect(lm.hasTokenizer).toBe(false);
    expect(() => lm.tokenizer).toThrow(TokenizerError);
    expect(() => lm.score('text')).toThrow(/no tokenizer, /);
    await expect(lm.generate('text').next()).rejects.toThrow(/no tokenizer, /);
    expect(lm.score([1, 2, 3]).tokens).toBe(2);
    expect((await lm.generateIds([1], { maxNewTokens: 1 }).next()).value).toBeTypeOf('number');
  });
});

describe('ids', () => {
  it.each([[11], [-1], [1.5], [NaN], ['1' as never], [1, 2, 99]].map((ids) => [ids]))('%j are refused, and leave the state as it was', async (ids) => {
    const lm = await MatMulFreeLM.load(tinyCheckpoint());
    const state = lm.createState();
    lm.forward([1, 2], state);
    const before = state.serialize();
    expect(() => lm.forward(ids, state)).toThrow(ArgumentError);
    expect(() => lm.forward(ids, state)).toThrow(/token id/);
    expect(state.serialize()).toEqual(before);
    expect(() => lm.score([1, ...ids])).toThrow(ArgumentError);
  });
  it('none at all', async () => {
    const lm = await MatMulFreeLM.load(tinyCheckpoint());
    expect(() => lm.forward([], lm.createState())).toThrow(/no token ids/);
    expect(() => lm.score([1])).toThrow(/too few/);
    await expect(lm.generateIds([]).next()).rejects.toThrow(/prompt is empty/);
  });
});

describe('GGUF', () => {
  const make = (): Promise<Uint8Array> => collect(convert(tinyCheckpoint(), { type: 'TQ2_0', name: 'tiny' }));

  it('truncated anywhere', async () => {
    const good = await make();
    // The last tensor, a scale, is 4 bytes and 28 of padding that nobody reads.
    for (let length = 0; length < good.length - 28; length += 97) {
      const error = await MatMulFreeLM.load(good.slice(0, length), { backend: 'scalar' }).catch((e: unknown) => e);
      expect(error, `${length} bytes`).toBeInstanceOf(length < 4 ? Error : FormatError);
      if (length >= 4) expect(String(error)).toMatch(/truncated/);
    }
  });
  it('any byte of the header changed gives a typed error, or loads', async () => {
    const good = await make();
    for (let at = 0; at < 2600; at++) {
      const spoilt = good.slice();
      spoilt[at]! ^= 1 << at % 8;
      const error: unknown = await MatMulFreeLM.load(spoilt, { backend: 'scalar' }).then(() => undefined, (e: unknown) => e);
      if (error !== undefined) expect([FormatError, ConfigError, SourceError, TokenizerError, BackendError].some((kind) => error instanceof kind), `${at}: ${String(error)}`).toBe(true);
    }
  });
  it('padding that is not zero, codes that no weight has', async () => {
    const good = await make();
    // In TQ2_0 the columns 12 to 255 of every row are padding: spoil everything behind the header in turn.
    const messages = new Set<string>();
    for (let at = good.length - 4000; at < good.length; at += 7) {
      const spoilt = good.slice();
      spoilt[at] = 0xff;
      await MatMulFreeLM.load(spoilt, { backend: 'scalar' }).catch((error: unknown) => messages.add(String(error)));
    }
    expect([...messages].some((message) => /row \d+: column \d+ holds the code 3, a code that no weight has/.test(message))).toBe(true);
  });
});
