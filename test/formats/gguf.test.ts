import { describe, expect, it } from 'vitest';
import { convert, FormatError, MatMulFreeLM, readGguf, sourceFromContent, writeGguf, type ConvertOptions, type GgufMetadata, type GgufTensorToWrite, type ModelSource } from 'matmulfree';
import { json, TINY, tinyCheckpoint, type TinyConfig } from '../support/checkpoints.js';
import { expectSameBits } from '../support/compare.js';
import { fixture } from '../support/files.js';

async function join(chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const bytes: number[] = [];
  for await (const chunk of chunks) for (const byte of chunk) bytes.push(byte);
  return Uint8Array.from(bytes);
}
const converted = (source: ModelSource, options: ConvertOptions): Promise<Uint8Array> => join(convert(source, options));
const parse = (bytes: Uint8Array) => readGguf(sourceFromContent('test.gguf', bytes));

/** Builds GGUF files byte by byte, independently of the library's writer. */
class Bytes {
  readonly list: number[] = [];
  u8(v: number): this { this.list.push(v & 255); return this; }
  u32(v: number): this { for (let i = 0; i < 4; i++) this.u8(Math.floor(v / 2 ** (8 * i))); return this; }
  u64(v: number): this { return this.u32(v % 2 ** 32).u32(Math.floor(v / 2 ** 32)); }
  text(v: string): this { const b = new TextEncoder().encode(v); this.u64(b.length); b.forEach((x) => this.u8(x)); return this; }
  f32(v: number): this { new Uint8Array(Float32Array.of(v).buffer).forEach((x) => this.u8(x)); return this; }
  pad(n: number): this { while (this.list.length % n) this.u8(0); return this; }
  get bytes(): Uint8Array { return Uint8Array.from(this.list); }
}
const head = (tensors: number, pairs: number, version = 3): Bytes => new Bytes().u32(0x46554747).u32(version).u64(tensors).u64(pairs);

describe('reading', () => {
  it('every kind of value, in versions 2 and 3', async () => {
    for (const version of [2, 3]) {
      const file = head(1, 6, version)
        .text('a').u32(4).u32(7).text('b').u32(5).u32(2 ** 32 - 3).text('c').u32(6).f32(0.5).text('d').u32(7).u8(1)
        .text('e').u32(9).u32(8).u64(2).text('x').text('é').text('f').u32(10).u64(2 ** 40)
        .text('w').u32(2).u64(3).u64(2).u32(0).u64(0).pad(32);
      for (let i = 0; i < 6; i++) file.f32(i);
      const { metadata, tensors } = await parse(file.bytes);
      expect([...metadata].map(([key, { value }]) => [key, value])).toEqual([['a', 7], ['b', -3], ['c', 0.5], ['d', true], ['e', ['x', 'é']], ['f', 2 ** 40]]);
      const w = tensors.get('w')!;
      expect(w).toMatchObject({ type: 'F32', shape: [2, 3], byteLength: 24 });
      expect(file.list.length - w.offset).toBe(24);
    }
  });

  const complaints: [string, () => Bytes, RegExp][] = [
    ['another magic', () => new Bytes().u32(1).u32(3).u64(0).u64(0), /does not start with "GGUF"/],
    ['version 1', () => head(0, 0, 1), /version 1 \(2 and 3 are supported\)/],
    ['a big-endian file', () => head(0, 0, 3 * 2 ** 24), /big-endian/],
    ['an absurd count', () => head(0, 2 ** 52 * 5), /absurd number/],
    ['more entries than bytes', () => head(0, 60_000), /ends at byte 24, inside metadata entry 1/],
    ['more entries than any model has', () => head(2 ** 40, 7), /claims 1099511627776 tensors and 7 metadata keys/],
    ['an array longer than the file', () => head(0, 1).text('a').u32(9).u32(0).u64(2 ** 20), /metadata key "a".*truncated/],
    ['an array longer than any model has', () => head(0, 1).text('a').u32(9).u32(0).u64(2 ** 23), /"a" has 8388608 elements/],
    ['an unknown value type', () => head(0, 1).text('a').u32(77), /"a" has the unknown value type 77/],
    ['an array of arrays', () => head(0, 1).text('a').u32(9).u32(9).u64(0), /array of arrays/],
    ['a bool of 2', () => head(0, 1).text('a').u32(7).u8(2), /bool 2/],
    ['text that is not UTF-8', () => head(0, 1).u64(1).u8(0xff).u32(4).u32(0), /not valid UTF-8/],
    ['a key twice', () => head(0, 2).text('a').u32(4).u32(0).text('a').u32(4).u32(0), /"a" occurs twice/],
    ['a crooked alignment', () => head(0, 1).text('general.alignment').u32(4).u32(33), /general\.alignment is 33/],
    ['a long tensor name', () => head(1, 0).text('n'.repeat(65)), /65 bytes/],
    ['five dimensions', () => head(1, 0).text('n').u32(5), /5 dimensions/],
    ['an absurd shape', () => head(1, 0).text('n').u32(2).u64(2 ** 50).u64(2 ** 50), /absurd shape/],
    ['an unknown tensor type', () => head(1, 0).text('n').u32(1).u64(1).u32(99).u64(0), /tensor "n" has the ggml type number 99, which is not read; write the file with types out of F32, F16, BF16, Q8_0, TQ1_0, TQ2_0/],
    ['a tensor type of other models', () => head(1, 0).text('token_embd.weight').u32(1).u64(256).u32(14).u64(0), /tensor "token_embd\.weight" has the ggml type Q6_K, which is not read/],
    ['a crooked offset', () => head(1, 0).text('n').u32(1).u64(1).u32(0).u64(5).pad(32).f32(0), /offset 5 is not a multiple/],
    ['rows that are not whole blocks', () => head(1, 0).text('n').u32(1).u64(100).u32(35).u64(0).pad(32), /100 are not whole TQ2_0 blocks/],
    ['data beyond the end', () => head(1, 0).text('n').u32(1).u64(9).u32(0).u64(0).pad(32).f32(0), /tensor "n".*truncated/],
    ['a tensor twice', () => head(2, 0).text('n').u32(1).u64(1).u32(0).u64(0).text('n').u32(1).u64(1).u32(0).u64(0).pad(32).f32(0), /"n" occurs twice/],
    ['overlapping tensors', () => head(2, 0).text('a').u32(1).u64(16).u32(0).u64(0).text('b').u32(1).u64(1).u32(0).u64(32).pad(32).pad(32).u64(0).u64(0).u64(0).u64(0).u64(0).u64(0).u64(0).u64(0), /overlaps/],
  ];
  it.each(complaints)('refuses %s', async (_name, build, message) => {
    const error = await parse(build().bytes).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(FormatError);
    expect(String(error)).toMatch(message);
  });

  it('reads headers longer than its first look at the file', async () => {
    const metadata: GgufMetadata = new Map([['long', { type: 'string', value: 'x'.repeat(3_000_000) }], ['end', { type: 'u8', value: 5 }]]);
    const file = await parse(await join(writeGguf(metadata, [])));
    expect(file.metadata.get('end')).toEqual({ type: 'u8', value: 5 });
  });
});

describe('writing', () => {
  it('is read back as it was, in every type', async () => {
    const metadata: GgufMetadata = new Map([
      ['u8', { type: 'u8', value: 255 }], ['i8', { type: 'i8', value: -128 }], ['u16', { type: 'u16', value: 65535 }],
      ['i16', { type: 'i16', value: -5 }], ['u32', { type: 'u32', value: 2 ** 32 - 1 }], ['i32', { type: 'i32', value: -7 }],
      ['f32', { type: 'f32', value: 0.25 }], ['bool', { type: 'bool', value: true }], ['string', { type: 'string', value: 'né' }],
      ['u64', { type: 'u64', value: 2 ** 53 - 1 }], ['i64', { type: 'i64', value: -(2 ** 53 - 1) }], ['f64', { type: 'f64', value: 1e-300 }],
      ['list', { type: 'array', of: 'i32', value: [1, -1] }], ['empty', { type: 'array', of: 'string', value: [] }],
    ]);
    const data = Uint8Array.from({ length: 66 }, (_, i) => i);
    const tensors: GgufTensorToWrite[] = [
      { name: 'a', type: 'TQ2_0', shape: [1, 256], bytes: async () => data },
      { name: 'b', type: 'F32', shape: [1], bytes: async () => data.slice(0, 4) },
    ];
    const bytes = await join(writeGguf(metadata, tensors));
    const file = await parse(bytes);
    expect(file.metadata).toEqual(metadata);
    const a = file.tensors.get('a')!;
    expect(bytes.slice(a.offset, a.offset + 66)).toEqual(data);
    expect(file.tensors.get('b')!.offset - a.offset).toBe(96);
  });

  it('refuses numbers that do not fit their type', async () => {
    for (const entry of [{ type: 'u32', value: 2 ** 32 }, { type: 'u8', value: -1 }, { type: 'i16', value: 0.5 }, { type: 'f32', value: 1e39 }, { type: 'u64', value: NaN }] as const) {
      await expect(join(writeGguf(new Map([['k', entry]]), []))).rejects.toThrow(/does not fit the type/);
    }
  });

  it('refuses data of the wrong length', async () => {
    const tensors: GgufTensorToWrite[] = [{ name: 'a', type: 'F32', shape: [2], bytes: async () => new Uint8Array(4) }];
    await expect(join(writeGguf(new Map(), tensors))).rejects.toThrow(/"a" has 4 bytes, not 8/);
  });
});

describe('converting', () => {
  const logitsOf = async (source: ModelSource, ids: number[]): Promise<Float32Array> => {
    const lm = await MatMulFreeLM.load(source);
    return lm.forward(ids, lm.createState(), { all: true });
  };
  const shapes: TinyConfig[] = [
    TINY,
    { hidden: 20, recurrent: 40, intermediate: 300, layers: 2, vocab: 9, lowerBounds: false },
    { hidden: 256, intermediate: 256, layers: 1, vocab: 4, lowerBounds: true },
  ];
  for (const type of ['TQ1_0', 'TQ2_0'] as const) {
    it.each(shapes)(`to ${type} keeps every bit of the logits: hidden $hidden, intermediate $intermediate`, async (shape) => {
      const files = tinyCheckpoint(shape, 3);
      const ids = Array.from({ length: 12 }, (_, n) => n % shape.vocab);
      const gguf = await converted(files, { type });
      expectSameBits(await logitsOf(gguf, ids), await logitsOf(files, ids));
      // Again, and once more from its own output.
      expect(await converted(files, { type })).toEqual(gguf);
      expectSameBits(await logitsOf(await converted(gguf, { type: 'TQ1_0' }), ids), await logitsOf(files, ids));
    });
  }

  it('also from bfloat16 shards', async () => {
    const folder = fixture('models/bf16-sharded');
    expectSameBits(await logitsOf(await converted(folder, { type: 'TQ1_0' }), [1, 2, 3]), await logitsOf(folder, [1, 2, 3]));
  });

  it('keeps configuration, EOS ids and fingerprint', async () => {
    const files = tinyCheckpoint(TINY, 1, { eos_token_id: [3, 4], bos_token_id: null, max_position_embeddings: 77, rms_norm_eps: 1e-5 });
    const a = await MatMulFreeLM.load(files);
    const b = await MatMulFreeLM.load(await converted(files, {}));
    expect(b.config).toEqual(a.config);
    expect(b.info().fingerprint).toBe(a.info().fingerprint);
    // Also where another generation_config.json is there, which does not name them.
    const c = await MatMulFreeLM.load(await converted({ ...files, 'generation_config.json': json({ temperature: 0.5 }) }, {}));
    expect(c.config).toEqual(a.config);
  });

  it('keeps widths of the state that no ratio gives exactly', async () => {
    for (const [hidden, recurrent] of [[11, 15], [224, 61], [7, 3]] as const) {
      const files = tinyCheckpoint({ hidden, recurrent, intermediate: 5, layers: 1, vocab: 4, lowerBounds: false }, 1, { expand_ratio: (recurrent + 1e-6) / hidden });
      expectSameBits(await logitsOf(await converted(files, {}), [1, 2]), await logitsOf(files, [1, 2]));
    }
  });

  it('refuses what load refuses', async () => {
    const unigram = { ...tinyCheckpoint(), 'tokenizer.json': json({ model: { type: 'Unigram', vocab: [] } }) };
    await expect(converted(unigram, {})).rejects.toThrow(/Unigram/);
    const other = { ...tinyCheckpoint(), 'tokenizer.json': json({ model: { type: 'BPE', merges: [], vocab: { a: 0, b: 500 } } }) };
    await expect(converted(other, {})).rejects.toThrow(/do not belong together/);
  });

  it('refuses scales that cannot be used', async () => {
    const gguf = await converted(tinyCheckpoint(TINY, 5), { type: 'TQ2_0' });
    const { tensors } = await parse(gguf);
    const edited = gguf.slice();
    const view = new DataView(edited.buffer);
    view.setFloat32(tensors.get('output.scale')!.offset, 3e38, true);
    const weight = tensors.get('output.weight')!;
    for (let at = weight.offset + 64; at < weight.offset + weight.byteLength; at += 66) view.setUint16(at, 0x7bff, true);
    await expect(MatMulFreeLM.load(edited)).rejects.toThrow(/"output\.weight", row 0: .*scale/);
    // A float weight that has to be quantised has no scale: which of the two would be meant?
    const floats = [...tensors].filter(([name]) => name !== 'output.weight').map(([name, { type, shape, offset, byteLength }]): GgufTensorToWrite => (
      { name, type: type as GgufTensorToWrite['type'], shape, bytes: async () => gguf.slice(offset, offset + byteLength) }));
    floats.push({ name: 'output.weight', type: 'F32', shape: [11, 12], bytes: async () => new Uint8Array(Float32Array.from({ length: 11 * 12 }, (_, i) => i).buffer) });
    const { metadata } = await parse(gguf);
    await expect(MatMulFreeLM.load(await join(writeGguf(metadata, floats)))).rejects.toThrow(/"output\.weight" has a scale tensor/);
  });

  it('carries the tokenizer, for itself and for other readers', async () => {
    const tokenizer = {
      added_tokens: [{ id: 0, content: '<unk>', special: true, single_word: false, lstrip: false, rstrip: false, normalized: false }],
      normalizer: null, pre_tokenizer: null, post_processor: null, decoder: { type: 'Fuse' },
      model: { type: 'BPE', unk_token: '<unk>', byte_fallback: true, vocab: { '<unk>': 0, '<0x41>': 1, b: 2, c: 3, bc: 4 }, merges: ['b c'] },
    };
    const files = { ...tinyCheckpoint(), 'tokenizer.json': json(tokenizer), 'tokenizer_config.json': json({ add_bos_token: false }) };
    const gguf = await converted(files, {});
    const lm = await MatMulFreeLM.load(gguf);
    expect(lm.tokenizer.encode('bcA')).toEqual([4, 1]);
    const { metadata } = await parse(gguf);
    expect(metadata.get('tokenizer.ggml.model')?.value).toBe('llama');
    expect((metadata.get('tokenizer.ggml.tokens')?.value as string[]).slice(0, 6)).toEqual(['<unk>', '<0x41>', 'b', 'c', 'bc', '[unused5]']);
    expect((metadata.get('tokenizer.ggml.token_type')?.value as number[]).slice(0, 6)).toEqual([2, 6, 1, 1, 1, 5]);
    expect(metadata.get('tokenizer.ggml.unknown_token_id')?.value).toBe(0);
    expect(metadata.get('tokenizer.ggml.add_bos_token')?.value).toBe(false);
    const scores = metadata.get('tokenizer.ggml.scores')?.value as number[];
    expect(scores[4]).toBeGreaterThan(scores[2]!);
  });

  it('accepts block scales in place of a scale tensor', async () => {
    const gguf = await converted(tinyCheckpoint(TINY, 5), { type: 'TQ2_0' });
    const file = await parse(gguf);
    // Half the scale in the scale tensor, and twice as much in every block: the same weights.
    const edited = gguf.slice();
    const view = new DataView(edited.buffer);
    for (const [name, tensor] of file.tensors) {
      if (name.endsWith('.scale')) view.setFloat32(tensor.offset, view.getFloat32(tensor.offset, true) / 2, true);
      if (tensor.type === 'TQ2_0') for (let at = tensor.offset + 64; at < tensor.offset + tensor.byteLength; at += 66) view.setUint16(at, 0x4000, true);
    }
    expectSameBits(await logitsOf(edited, [1, 2]), await logitsOf(gguf, [1, 2]));
  });

  it('reports bytes as it goes, and stops at a signal', async () => {
    const seen: number[] = [];
    await converted(tinyCheckpoint(), { onProgress: ({ loaded, total }) => seen.push(loaded / total) });
    expect(seen.at(-1)).toBe(1);
    expect(seen).toEqual([...seen].sort((a, b) => a - b));
    const controller = new AbortController();
    const run = converted(tinyCheckpoint(), { signal: controller.signal, onProgress: () => controller.abort() });
    await expect(run).rejects.toMatchObject({ name: 'AbortError' });
  });

  it('refuses options it does not know', async () => {
    await expect(converted(tinyCheckpoint(), { type: 'Q4_0' as 'TQ1_0' })).rejects.toThrow(/type is "Q4_0"/);
    await expect(converted(tinyCheckpoint(), { typo: 1 } as never)).rejects.toThrow(/unknown option "typo"/);
  });
});
