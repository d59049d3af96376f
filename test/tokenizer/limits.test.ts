/** Files made to exhaust time or memory: refused with a TokenizerError, or done within bounds. */
import { describe, expect, it } from 'vitest';
import { ArgumentError, TokenizerError } from '../../src/errors.js';
import { buildDecoder } from '../../src/tokenizer/decoder.js';
import { buildNormalizer } from '../../src/tokenizer/normalizer.js';
import { TokenTree } from '../../src/tokenizer/token-tree.js';
import { Tokenizer } from '../../src/tokenizer/tokenizer.js';
import { json, random, tiny } from './helpers.js';
import { cpuMs } from '../support/cpu.js';
import { PARTS, tokenizerOf } from '../support/tokenizer.js';

const A = { Sequence: { id: 'A' } };
const X = { SpecialToken: { id: 'x' } };
const template = (single: unknown[], ids: number[] = [1]): unknown => ({ type: 'TemplateProcessing', single, special_tokens: { x: { ids } } });
const processors = (list: unknown[]): unknown => ({ type: 'Sequence', processors: list });
const list = <T>(length: number, item: T): T[] => Array<T>(length).fill(item);
const replace = (search: string, content: string): unknown => ({ type: 'Replace', pattern: { String: search }, content });
const replaceRegex = (search: string, content: string): unknown => ({ type: 'Replace', pattern: { Regex: search }, content });
const normalizers = (steps: unknown[]): unknown => ({ type: 'Sequence', normalizers: steps });
const split = (Regex: string): unknown => ({ type: 'Split', pattern: { Regex }, behavior: 'Isolated' });
const build = (rest: Record<string, unknown>): Tokenizer => tiny(['a', 'b'], [], rest);

/** The message, which must be short and name the file; the call must not take long. */
function refusal(call: () => unknown): string {
  const error: unknown = quickly(() => {
    try {
      return call();
    } catch (caught) {
      return caught;
    }
  });
  expect(error).toBeInstanceOf(TokenizerError);
  const { message } = error as Error;
  expect(message).toMatch(/^tokenizer\.json: /);
  expect(message.length).toBeLessThan(600);
  return message;
}

function quickly<T>(call: () => T, milliseconds = 5000): T {
  const began = cpuMs();
  const result = call();
  expect(cpuMs() - began).toBeLessThan(milliseconds);
  return result;
}

describe('templates', () => {
  it('have Sequence A once, or not at all', () => {
    const post_processor = processors(list(40, template([A, A])));
    expect(refusal(() => build({ post_processor }))).toContain('post_processor.processors[0].single[1]: a second Sequence A');
    expect(build({ post_processor: template([X]) }).encode('a')).toEqual([1]);
    expect(build({ post_processor: template([A, X]) }).encode('a')).toEqual([0, 1]);
  });

  it('add a bounded number of ids, all together', () => {
    expect(build({ post_processor: template([A, ...list(32, X)], list(32, 1)) }).encode('a')).toHaveLength(1025);
    expect(refusal(() => build({ post_processor: template([A, ...list(6000, X)], list(6000, 1)) }))).toContain('special_tokens.x.ids');
    expect(refusal(() => build({ post_processor: template([A, ...list(6000, X)], list(1000, 1)) }))).toContain('single[2]');
    expect(refusal(() => build({ post_processor: template([A, ...list(6000, X)], []) }))).toContain('single[1025]');
    const two = processors(list(2, template([A, ...list(20, X)], list(30, 1))));
    expect(refusal(() => build({ post_processor: two }))).toContain('processors[1].single');
  });

  it('reads the ids of a token once', () => {
    let reads = 0;
    const special_tokens = new Proxy({ x: { ids: [1] } }, { get: (target, key) => (reads++, target[key as 'x']) });
    build({ post_processor: { type: 'TemplateProcessing', single: list(500, X), special_tokens } });
    expect(reads).toBe(1);
  });
});

describe('added tokens', () => {
  const added = (contents: string[], flags: object = {}): Record<string, unknown> => ({
    added_tokens: contents.map((content, i) => ({ id: 10 + i, content, normalized: false, ...flags })),
  });

  it('have a bounded length, normalized as well', () => {
    expect(refusal(() => build(added(['x'.repeat(3_000_000)])))).toContain('added_tokens[0].content');
    const grown = { ...added(['aaaa'], { normalized: true }), normalizer: replace('a', 'b'.repeat(1000)) };
    expect(refusal(() => build(grown))).toContain('added_tokens[0].content');
    const many = { ...added(list(100_000, '').map((_, i) => `${'a'.repeat(20)}${i}`), { normalized: true }), normalizer: replace('a', 'b'.repeat(1000)) };
    refusal(() => build(many));
  });

  it('take memory by their number, not by their length', () => {
    const contents = Array.from({ length: 3000 }, (_, i) => String.fromCodePoint(0x4e00 + i).repeat(1000));
    const before = process.memoryUsage().heapUsed;
    const tokenizer = build(added(contents));
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(100e6);
    expect(tokenizer.encode(`a${contents[7]!}b`)).toEqual([0, 17, 1]);
  });

  it('are searched in bounded time', () => {
    const tokenizer = build(added([`${'a'.repeat(1000)}b`, `${'a'.repeat(1000)}c`]));
    expect(quickly(() => tokenizer.encode('a'.repeat(100_000)))).toHaveLength(100_000);
    expect(quickly(() => tokenizer.encode('a'.repeat(100_000) + 'b'))).toHaveLength(99_001);
  });

  it('that are spaces take the spaces behind them in linear time', () => {
    const tokenizer = build(added([' '], { rstrip: true }));
    expect(quickly(() => tokenizer.encode(`a${' '.repeat(100_000)}b`))).toHaveLength(100_002);
  });

  it('are found as by trying all of them', () => {
    const next = random(31);
    for (let round = 0; round < 200; round++) {
      const text = (length: number): string => Array.from({ length }, () => 'abc😀'[Math.floor(next() * 5)]!).join('');
      const texts = Array.from({ length: 1 + Math.floor(next() * 12) }, () => text(1 + Math.floor(next() * 6)));
      const tree = new TokenTree<number>();
      texts.forEach((one, i) => tree.insert(one, i));
      const searched = text(30);
      for (let at = 0; at < searched.length; at++) {
        const longest = Math.max(0, ...texts.filter((one) => searched.startsWith(one, at)).map((one) => one.length));
        const expected = longest === 0 ? undefined : { value: texts.indexOf(searched.slice(at, at + longest)), end: at + longest };
        expect(tree.longestAt(searched, at), `round ${round}`).toEqual(expected);
      }
    }
  });
});

describe('texts that grow', () => {
  const tenfold = list(12, replace('a', 'a'.repeat(10)));

  it.each<[string, unknown, string]>([
    ['by strings', normalizers(tenfold), 'a'],
    ['by patterns', normalizers(list(12, replaceRegex('a', 'a'.repeat(10)))), 'a'],
    ['by empty patterns', normalizers(list(40, replace('', 'aaa'))), 'a'],
    ['and shrink in turn', normalizers(list(100, [replace('a', 'b'.repeat(30)), replace('b'.repeat(30), 'a')]).flat()), 'a'.repeat(20_000)],
    ['by normalization', normalizers([...tenfold.slice(0, 5), replace('a', '\ufdfa'), { type: 'NFKC' }]), 'aaaaaaaaa'],
    ['to marks out of order', normalizers([...tenfold.slice(0, 5), replace('a', '\u0301'), { type: 'NFC' }]), 'aa'],
  ])('%s', (_, normalizer, text) => {
    expect(refusal(() => build({ normalizer }).encode(text))).toContain('tokenizer.json: normalizer.normalizers[');
  });

  it('in many pieces', () => {
    const added_tokens = [{ id: 10, content: 'x', normalized: false }];
    const normalizer = normalizers([...tenfold.slice(0, 5)]);
    refusal(() => build({ normalizer, added_tokens }).encode('ax'.repeat(1000)));
    refusal(() => build({ normalizer: { type: 'Prepend', prepend: 'a'.repeat(1000) }, added_tokens }).encode('ax'.repeat(5000)));
  });

  it('byte-level again and again', () => {
    const pre_tokenizer = { type: 'Sequence', pretokenizers: list(40, { type: 'ByteLevel', add_prefix_space: false, use_regex: false }) };
    expect(refusal(() => build({ pre_tokenizer }).encode('é'))).toContain('pre_tokenizer.pretokenizers[');
  });

  it('in decoding, in a stream as well', () => {
    const decoder = { type: 'Sequence', decoders: tenfold };
    expect(refusal(() => build({ decoder }).decode([0]))).toContain('decoder.decoders[');
    refusal(() => build({ decoder }).createDecodeStream().push(0));
    refusal(() => build({ decoder: { type: 'Sequence', decoders: [{ type: 'Fuse' }, ...list(12, replaceRegex('a', 'aaaaaaaaaa'))] } }).decode([0]));
    const thousandfold = { type: 'Sequence', decoders: [replace('a', 'b'.repeat(1000))] };
    refusal(() => build({ decoder: thousandfold }).decode(list(100_000, 0)));
  });

  it('by too long a content, prefix, pattern or affix', () => {
    const long = 'a'.repeat(1025);
    expect(refusal(() => build({ normalizer: replace('a', long) }))).toContain('normalizer.content');
    expect(refusal(() => build({ normalizer: replace(long, 'a') }))).toContain('normalizer.pattern.String');
    expect(refusal(() => build({ normalizer: { type: 'Prepend', prepend: long } }))).toContain('normalizer.prepend');
    expect(refusal(() => build({ pre_tokenizer: { type: 'Split', pattern: { String: long }, behavior: 'Isolated' } }))).toContain('pre_tokenizer.pattern.String');
    expect(refusal(() => build({ model: { continuing_subword_prefix: long } }))).toContain('model.continuing_subword_prefix');
    expect(refusal(() => build({ model: { end_of_word_suffix: long } }))).toContain('model.end_of_word_suffix');
    expect(refusal(() => tiny(['a'.repeat(20_000)]))).toContain('model.vocab');
  });

  it('may grow a lot if they are honest', () => {
    const normalizer = normalizers([{ type: 'NFKC' }, { type: 'Prepend', prepend: 'ab'.repeat(500) }]);
    const tokenizer = build({ normalizer, pre_tokenizer: { type: 'ByteLevel', add_prefix_space: true, use_regex: false } });
    expect(quickly(() => tokenizer.encode('\ufdfa'.repeat(20_000)))).toHaveLength(1000);
    expect(quickly(() => tokenizer.encode('a'.repeat(200_000)))).toHaveLength(201_000);
  });
});

describe('what the steps give is as before', () => {
  const normalize = (config: unknown, text: string): string => buildNormalizer(json(config), PARTS)(text);

  it('Replace, in long texts', () => {
    expect(normalize(replace('a', '$$$&'), 'ab'.repeat(10_000))).toBe('$$$&b'.repeat(10_000));
    expect(normalize(replaceRegex('a+', '$'), 'aab'.repeat(10_000))).toBe('$b'.repeat(10_000));
    expect(normalize(replaceRegex('x', '-'), 'ab')).toBe('ab');
    expect(normalize(replaceRegex('.+', ''), 'ab')).toBe('');
  });

  it('Strip both, where left and right meet', () => {
    const strip = (text: string): string => normalize({ type: 'Strip', strip_left: true, strip_right: true }, text);
    expect([strip(' é   '), strip(' 漢    '), strip('\u2003 \u2003'), strip('é')]).toEqual(['é', '漢', '', 'é']);
  });

  it('byte-level, in long words', () => {
    const tokenizer = tiny(['ð', 'Ł', 'ĺ', 'Ģ', 'a'], [], { pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, use_regex: false } });
    for (const text of [`${'😀'.repeat(5000)}a`, `a${'😀'.repeat(5000)}`]) {
      expect(tokenizer.encode(text).filter((id) => id !== 4)).toEqual(list(5000, [0, 1, 2, 3]).flat());
    }
  });

  it('Strip of fragments, whatever it is to strip', () => {
    const next = random(8);
    for (let round = 0; round < 500; round++) {
      const [start, stop] = [Math.floor(next() * 3), Math.floor(next() * 5)];
      const fragments = Array.from({ length: 1 + Math.floor(next() * 6) }, () => ['', ' ', '  ', '   ', 'a', ' a', 'a ', '  a   '][Math.floor(next() * 8)]!);
      const run = buildDecoder(json({ type: 'Sequence', decoders: [{ type: 'Fuse' }, { type: 'Strip', content: ' ', start, stop }] }), PARTS)(true);
      const text = fragments.map((fragment) => run.push(fragment)).join('') + run.flush();
      const left = fragments.join('').replace(new RegExp(`^ {0,${start}}`), '');
      expect(text, `${JSON.stringify(fragments)} ${start} ${stop}`).toBe(left.replace(new RegExp(` {0,${stop}}$`), ''));
    }
  });

  it('Strip of very many fragments in linear time', () => {
    const decoder = { type: 'Sequence', decoders: [{ type: 'Fuse' }, { type: 'Strip', content: 'a', start: 0, stop: 2 ** 40 }] };
    expect(quickly(() => build({ decoder }).decode(list(300_000, 0)))).toBe('');
  });
});

describe('patterns', () => {
  it.each<[string, string]>([
    ['too long', 'a'.repeat(200_000)],
    ['too long, of classes', '\\p{L}'.repeat(100_000)],
    ['too long once translated', '\\b'.repeat(4000)],
    ['ranges with case ignored', `(?i:[${'一-龥'.repeat(2000)}])`],
    ['quantifiers of quantifiers', `a${'*'.repeat(8000)}`],
    ['intervals of intervals', `a${'{1}'.repeat(2000)}`],
    ['groups and quantifiers to the limit', `${'(?:a?'.repeat(95)}b${')?'.repeat(95)}c`],
    ['choices that share characters', 'a?b?c?'.repeat(1300) + 'z'],
    ['a choice of very many', `(?:${Array.from({ length: 2000 }, (_, i) => `${String.fromCodePoint(0x4e00 + i)}x`).join('|')})*y`],
    ['with a long name', `\\p{${'x'.repeat(8000)}}`],
  ])('%s', (_, pattern) => {
    expect(refusal(() => build({ pre_tokenizer: split(pattern) }))).toContain('pre_tokenizer.pattern.Regex');
  });

  it('of the greatest length work, for texts of 8-bit and of 16-bit units', () => {
    const tokenizer = quickly(() => build({ pre_tokenizer: split('\\p{L}'.repeat(1638)) }));
    quickly(() => expect([tokenizer.encode('ab'), tokenizer.encode('a\u0100')]).toEqual([[0, 1], [0]]));
  });

  it('all together', () => {
    const pre_tokenizer = { type: 'Sequence', pretokenizers: list(200, split('[a-z]'.repeat(1600))) };
    expect(refusal(() => build({ pre_tokenizer }))).toContain('pre_tokenizer.pretokenizers[');
  });
});

it('lists that are looked through entry by entry have a bounded length', () => {
  const added_tokens = list(70_000, 0);
  expect(refusal(() => build({ added_tokens }))).toContain('added_tokens: 70000 entries are more than the 65536 this library takes');
  // Cut at the first spaces only: a text of nothing but spaces has as many parts as characters.
  expect(refusal(() => build({ model: { merges: [' '.repeat(3_000_000)] } }))).toContain('model.merges[0]: expected "a b"');
});

describe('components', () => {
  it('in bounded number, however nested', () => {
    const fuses = list(60_000, { type: 'Fuse' });
    expect(refusal(() => build({ decoder: { type: 'Sequence', decoders: fuses } }))).toContain('components');
    const sequence = normalizers(list(100, { type: 'NFC' }));
    expect(refusal(() => build({ normalizer: normalizers(list(10, sequence)) }))).toContain('components');
  });
});

describe('messages', () => {
  const deep = (): unknown => JSON.parse('['.repeat(200_000) + ']'.repeat(200_000));
  const deepObject = (): unknown => JSON.parse('{"a":'.repeat(200_000) + '1' + '}'.repeat(200_000));
  const long = 'x'.repeat(1_000_000);

  it.each<[string, (value: unknown) => Record<string, unknown>]>([
    ['model.type', (type) => ({ model: { type } })],
    ['model.merges', (merge) => ({ model: { merges: [merge] } })],
    ['model.unk_token', (unk_token) => ({ model: { unk_token } })],
    ['model.byte_fallback', (byte_fallback) => ({ model: { byte_fallback } })],
    ['added_tokens[0].id', (id) => ({ added_tokens: [{ content: 'x', id }] })],
    ['normalizer', (type) => ({ normalizer: { type } })],
    ['normalizer', (normalizer) => ({ normalizer })],
    ['pre_tokenizer', (replacement) => ({ pre_tokenizer: { type: 'Metaspace', replacement } })],
    ['pre_tokenizer', (prepend_scheme) => ({ pre_tokenizer: { type: 'Metaspace', replacement: '_', prepend_scheme } })],
    ['post_processor', (id) => ({ post_processor: template([{ SpecialToken: { id } }]) })],
    ['decoder', (start) => ({ decoder: { type: 'Strip', content: ' ', start, stop: 0 } })],
  ])('about %s are short, whatever is there', (path, rest) => {
    for (const value of [deep(), deepObject(), long]) expect(refusal(() => build(rest(value)))).toContain(path);
  });

  it('name long tokens and keys in short', () => {
    refusal(() => tokenizerOf({ model: { vocab: { [long.slice(0, 16_000)]: -1 }, merges: [] } }));
    refusal(() => build({ model: { merges: [[long, long]] } }));
    refusal(() => build({ post_processor: { ...(template([{ SpecialToken: { id: long } }]) as object), special_tokens: { [long]: { ids: 7 } } } }));
  });
});

it('merges in linear time even where a fixed hash of the pairs would be one and the same', () => {
  const [left, right] = [0x9e3779b1, 0x85ebca6b];
  let inverse = 1;
  for (let i = 0; i < 5; i++) inverse = Math.imul(inverse, 2 - Math.imul(right, inverse));
  const vocab: Record<string, number> = {};
  const used = new Set<number>();
  const merges: string[] = [];
  for (let a = 1; a < 2 ** 24 && merges.length < 60_000; a++) {
    const b = Math.imul(12345 ^ Math.imul(a, left), inverse) >>> 0;
    if (b >= 2 ** 24 || used.has(a) || used.has(b) || a === b) continue;
    used.add(a).add(b);
    [vocab[`l${a}`], vocab[`r${b}`]] = [a, b];
    merges.push(`l${a} r${b}`);
  }
  const free = Array.from({ length: 300_000 }, (_, id) => id).filter((id) => !used.has(id));
  merges.forEach((merge, i) => (vocab[merge.replace(' ', '')] = free[i]!));
  quickly(() => tokenizerOf({ model: { type: 'BPE', vocab, merges } }), 1500);
});

it('refuses options that do not exist', async () => {
  const tokenizer = tiny(['a']);
  const odd = { addSpecialToken: false } as object;
  expect(() => tokenizer.encode('a', odd)).toThrow(ArgumentError);
  expect(() => tokenizer.encode('a', odd)).toThrow('encode: unknown option "addSpecialToken" (known: addSpecialTokens, continues); did you mean addSpecialTokens?');
  expect(() => tokenizer.decode([0], odd)).toThrow(/^decode: unknown option/);
  expect(() => tokenizer.createDecodeStream(odd)).toThrow(/^createDecodeStream: unknown option/);
  await expect(Tokenizer.fromJSON({}, odd)).rejects.toThrow(/fromJSON: unknown option/);
  expect(() => tokenizer.encode('a', null as unknown as object)).toThrow(ArgumentError);
});
