import { describe, expect, it } from 'vitest';
import { Utf8Stream } from '../../src/tokenizer/byte-level.js';
import { buildDecoder } from '../../src/tokenizer/decoder.js';
import { json, random } from './helpers.js';
import { PARTS } from '../support/tokenizer.js';

/** The pieces a decoder gives for tokens, the flushed rest last. */
function pieces(config: unknown, tokens: string[], streaming = true): string[] {
  const run = buildDecoder(json(config), PARTS)(streaming);
  return [...tokens.map((token) => run.push(token)), run.flush()];
}

const text = (config: unknown, tokens: string[]): string => pieces(config, tokens, false).join('');
const sequence = (...decoders: unknown[]): unknown => ({ type: 'Sequence', decoders });
const FUSE = { type: 'Fuse' };
const FALLBACK = { type: 'ByteFallback' };
const strip = (start: number, stop: number): unknown => ({ type: 'Strip', content: ' ', start, stop });
const LLAMA = sequence({ type: 'Replace', pattern: { String: '▁' }, content: ' ' }, FALLBACK, FUSE, strip(1, 0));

describe('decoders', () => {
  it.each<[string, unknown, string[], string]>([
    ['none: joined by spaces', null, ['a', 'b'], 'a b'],
    ['Fuse', FUSE, ['a', 'b'], 'ab'],
    ['Replace a string', { type: 'Replace', pattern: { String: '_' }, content: ' ' }, ['a_', '_b'], 'a  b'],
    ['Replace a regex', { type: 'Replace', pattern: { Regex: '[0-9]+' }, content: '#' }, ['a12', '3'], 'a##'],
    ['Replace over token ends once fused', sequence(FUSE, { type: 'Replace', pattern: { String: 'ab' }, content: 'x' }), ['a', 'b'], 'x'],
    ['Replace within tokens', sequence({ type: 'Replace', pattern: { String: 'ab' }, content: 'x' }, FUSE), ['a', 'b', 'ab'], 'abx'],
    ['Strip every token', strip(1, 1), ['  a ', ' b'], ' ab'],
    ['Strip once fused', sequence(FUSE, strip(1, 0)), ['  a', ' b'], ' a b'],
    ['Strip the end once fused', sequence(FUSE, strip(0, 2)), ['a ', ' ', ' '], 'a '],
    ['Strip the whole text away', sequence(FUSE, strip(2, 2)), [' ', ' ', ' '], ''],
    ['ByteFallback', FALLBACK, ['a', '<0xC3>', '<0xa9>', 'b'], 'aéb'],
    ['ByteFallback, malformed', FALLBACK, ['<0x41>', '<0xC3>', '<0x42>', 'b'], '\ufffd\ufffd\ufffdb'],
    ['ByteFallback, not quite a byte', FALLBACK, ['<0xG1>', '<0x1>'], '<0xG1><0x1>'],
    ['ByteFallback, byte order mark', FALLBACK, ['<0xEF>', '<0xBB>', '<0xBF>'], '\ufeff'],
    ['ByteFallback once fused', sequence(FUSE, FALLBACK), ['<0x', '41>'], 'A'],
    ['ByteLevel', { type: 'ByteLevel' }, ['Ġh', 'Ã', '©'], ' hé'],
    ['ByteLevel, malformed', { type: 'ByteLevel' }, ['a', 'ð', 'Ł', 'b', '©'], 'a\ufffdb\ufffd'],
    ['ByteLevel, other characters', { type: 'ByteLevel' }, ['Ġa', 'Ġ 漢', '  '], ' aĠ 漢  '],
    ['Metaspace', { type: 'Metaspace', replacement: '▁', prepend_scheme: 'always' }, ['▁Hey', '▁you▁'], 'Hey you '],
    ['Metaspace, first token only', { type: 'Metaspace', replacement: '▁' }, ['▁▁a▁b', '▁c'], 'ab c'],
    ['Metaspace, never', { type: 'Metaspace', replacement: '▁', prepend_scheme: 'never' }, ['▁Hey', '▁you'], ' Hey you'],
    ['BPEDecoder', { type: 'BPEDecoder', suffix: '</w>' }, ['my</w>', 'f', 'riend</w>'], 'my friend'],
    ['Llama', LLAMA, ['▁▁Hi', '▁', '<0xF0>', '<0x9F>', '<0x98>', '<0x80>', '!'], ' Hi 😀!'],
    ['nothing', LLAMA, [], ''],
    ['an empty Sequence', sequence(), ['a', 'b'], 'ab'],
  ])('%s', (_, config, tokens, expected) => {
    expect(text(config, tokens)).toBe(expected);
    const malformedFallback = expected.includes('\ufffd\ufffd');
    if (!malformedFallback) expect(pieces(config, tokens).join('')).toBe(expected);
  });
});

describe('streaming', () => {
  it('gives text out as soon as it is certain', () => {
    expect(pieces(LLAMA, ['▁Hi', '▁you', '<0xE2>', '<0x82>', '<0xAC>', '!'])).toEqual(['Hi', ' you', '', '', '€', '!', '']);
    expect(pieces({ type: 'ByteLevel' }, ['Ġa', 'ðŁ', 'ĺĢ', 'Ã'])).toEqual([' a', '', '😀', '', '\ufffd']);
    expect(pieces(sequence(FUSE, strip(0, 1)), ['a ', 'b', ' '])).toEqual(['a', ' b', '', '']);
    expect(pieces({ type: 'BPEDecoder' }, ['a</w>', 'b'])).toEqual(['', 'a ', 'b']);
  });

  it('in a malformed run makes only the malformed bytes U+FFFD', () => {
    expect(pieces(FALLBACK, ['<0x41>', '<0xE2>', '<0x82>', '<0x42>', 'b'])).toEqual(['A', '', '', '\ufffd\ufffdB', 'b', '']);
    expect(pieces(FALLBACK, ['<0xE2>', 'b'])).toEqual(['', '\ufffdb', '']);
  });

  it('strips once a text', () => {
    expect(pieces(LLAMA, ['▁a', '▁b', '▁', '▁c'])).toEqual(['a', ' b', ' ', ' c', '']);
    expect(pieces(LLAMA, ['▁', '▁a'])).toEqual(['', ' a', '']);
  });

  it('keeps runs apart: two texts at once do not meet', () => {
    const decoder = buildDecoder(json({ type: 'ByteLevel' }), PARTS);
    const [one, two] = [decoder(true), decoder(true)];
    expect([one.push('Ã'), two.push('a'), one.push('©')]).toEqual(['', 'a', 'é']);
  });
});

describe('UTF-8', () => {
  it('agrees with TextDecoder on random bytes', () => {
    const seed = 4242;
    const next = random(seed);
    const kinds = [0x41, 0x80, 0x9f, 0xa0, 0xbf, 0xc0, 0xc2, 0xe0, 0xe2, 0xed, 0xef, 0xf0, 0xf3, 0xf4, 0xf5, 0xff, 0x90, 0x8f, 0xbb];
    for (let round = 0; round < 3000; round++) {
      const bytes = Uint8Array.from({ length: 1 + Math.floor(next() * 12) }, () => kinds[Math.floor(next() * kinds.length)]!);
      const stream = new Utf8Stream(false);
      const streamed = [...bytes].map((byte) => stream.push(byte)).join('') + stream.flush();
      expect(streamed, `seed ${seed} round ${round}: ${bytes.join(' ')}`).toBe(new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes));
    }
  });

  it('per byte: one U+FFFD for each malformed byte', () => {
    const stream = new Utf8Stream(true);
    expect([0xf0, 0x9f, 0x98, 0x41].map((byte) => stream.push(byte)).join('')).toBe('\ufffd\ufffd\ufffdA');
    expect(stream.push(0xf0) + stream.push(0x9f) + stream.flush()).toBe('\ufffd\ufffd');
    expect(stream.push(0xff) + stream.flush()).toBe('\ufffd');
  });
});
