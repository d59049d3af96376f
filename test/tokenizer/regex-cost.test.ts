import { describe, expect, it } from 'vitest';
import { TokenizerError } from '../../src/errors.js';
import { GGML_PRES } from '../../src/tokenizer/ggml-pre.js';
import type { FindMatches } from '../../src/tokenizer/pattern.js';
import { cpuMs } from '../support/cpu.js';
import { freshSeed, randomFrom } from '../support/random.js';
import { json } from './helpers.js';
import { PARTS } from '../support/tokenizer.js';

const translate = (pattern: string): FindMatches => PARTS.compileRegex(json(pattern));

/** Patterns of published models, some of which repeat what repeats. */
const PUBLISHED: string[] = [
  ...GGML_PRES.flatMap(({ patterns }) => patterns),
  // GPT-4o, Llama 4
  "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
  // cl100k, possessive
  "'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}+|\\p{N}{1,3}+| ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+",
  // EXAONE 4
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?(?:\\p{L}\\p{M}*(?: \\p{L}\\p{M}*)*)+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]?|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+",
  // groups of three digits from the right
  '\\d{1,3}(?=(?:\\d{3})*\\b)', '(?=(\\d{3})+(?!\\d))',
  // DeepSeek, BLOOM
  '[!"#$%&\'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+', '[一-龥぀-ゟ゠-ヿ]+',
  ' ?[^(\\s|[.,!?…。，、।۔،])]+',
];

describe('patterns that are taken', () => {
  it.each(PUBLISHED)('%s', (pattern) => {
    expect(translate(pattern)).toBeTypeOf('function');
  });
  it.each([
    // nothing that follows can fail
    '(?:a+)+', '(?:a|a)*b?', '(?<=(?:a+)+b)c', 'x(?:a+)*(?:b*)', '(?:\\p{N}{1,3})+',
    // one way only
    '(?:ab*)*c', '(?:a+b+)*c', '(?:a|b)*c', '(?:\\p{Lu}\\p{Ll}*)+\\d', '(?:a{3})*b', '(?>a+)+b', '(?:[^"\\\\]|\\\\.)*"', '(?:\\d+,)*\\d+;',
    // few times
    '(?:a+){2}b', '(?:a?){3}b', '\\s*\\S+\\s*x', 'a*b*c*d*e*f', '(?:[0-9]|[a-f])'.repeat(30) + 'x', 'a?b?c?d?e?f?g?h?i?j?k?l?m?n?o?p?q', 'a*ba*ba*ba*ba*b', '\\w*\\s\\w*\\s\\w*\\s\\w*x',
  ])('%s', (pattern) => {
    expect(translate(pattern)).toBeTypeOf('function');
  });
});

describe('patterns that are refused', () => {
  it.each([
    '(?:a+)+b', '(?:a*)*b', '(?:a|a)*b', '(?:a|b|ab)*c', '(?:a+)+$', '(?:\\w+\\s?)*x', '(?:\\p{L}+|é)*1', '(a+)+b', '(?:a?b?)*c', '(?:(?:a+)+b)+', '(?=(?:a+)+b)c', '(?!(?:a|a)*b)', '(?<=b(?:a+)+)c',
    '(?>(?:a+)+b)', '(?:.*a){20}', '(?:a{1,3})+b', '(?:a{2,})*b', '(?i:k|[k])*x', '(?:[a-c]|[c-e])+x', '(?:a|[^b])*b', '(?:\\s|\\n)*x', '(?:(?:a|b)+)*c', '(?:a+){4,}',
    '(?:x(?:a+)+)+y', '(?:b(?:a?)+)*c', '(?:x(?:a?|b?))*y', '(?:x(?:\\b|$))*y', '(?:a\\B|a)*b',
  ])('%s: exponential', (pattern) => {
    expect(() => translate(pattern)).toThrow(TokenizerError);
    expect(() => translate(pattern)).toThrow(/has a repetition that can match one text in several ways, which may take exponential time$/);
  });

  it.each(['.*.*.*=', '\\s*\\s*\\s*\\s*x', 'a*[ab]*a*b', '\\w+\\d*\\w+!', '(?:a*b?a*c?a*)d', 'a{0,1000}a{0,1000}a{0,1000}b', '(?=a*a*a*b)', 'a?'.repeat(40) + 'a'.repeat(40) + 'b', '(?:a|a)'.repeat(30) + 'b', '(?:a|a)b'.repeat(30) + 'c', '(?:|)'.repeat(40) + 'b', '(?:a*a*b){3}c', '(?:(?:a*a*a)?(?:aa)*|aa)a+b'])('%s: a high power of the length', (pattern) => {
    expect(() => translate(pattern)).toThrow(/has too many repetitions or choices in a row that share characters, which may take very long$/);
  });
});


describe('repetitions of what may be nothing', () => {
  it.each(['(a|){40}b', '(?:a?){30,}b', '^(a?){50}a{50}$', '(?:a*){4}b', '(?:a??){5,}b', '(?:(?:a|b)?){9}c', 'x(?:(?:|a){20})+y', '(?:a{0,2}){4}b'])('%s is refused', (pattern) => {
    expect(() => translate(pattern)).toThrow(TokenizerError);
  });
  it.each(['(?:a?){40}', '(?:a*?){2}\\w++$', '(?:){40}b', '(?:a?){3}b'])('%s is taken', (pattern) => {
    expect(translate(pattern)).toBeTypeOf('function');
  });
});

describe('patterns that are taken are searched for in linear time', () => {
  const [a, digits] = ['a'.repeat(20_000), '1'.repeat(20_000)];
  it.each<[string, string, number]>([
    // what is looked for at every place, what gives back one by one, both
    ['a*b', a, 0], ['a*a*b', a, 0], ['a*[ab]*a?b', a, 0], ['(?:a|b)*c', a, 0], ['(?:ab|a)*?c', a, 0], ['(?:a?){3}b', a, 0], ['a{1,40}b', a, 0], ['.*.*x', a, 0], ['(?:\\w+\\s?){2}x', a, 0],
    // what is looked at, and what is kept
    ['(?=a*b)', a, 0], ['(?=a*$)a', a, 20_000], ['(?:(?=(?:aa)*b)|a)', a, 20_000], ['(?<=^a*)a', a, 20_000], ['(?<!b|a*)b', a, 0], ['(?>a+)b', a, 0], ['a++b', a, 0], ['(?>(?:a|b)+)c', a, 0], ['(?:a*?){2}\\w++$', `${a}!`, 0],
    // digits from the right in threes, of published models
    ['\\d{1,3}(?=(?:\\d{3})*\\b)', digits, 6667], ['(?=(\\d{3})+(?!\\d))', digits, 6666],
  ])('%s', (pattern, text, matches) => {
    const find = translate(pattern);
    const began = cpuMs();
    let found = 0;
    find(text, () => found++);
    const ms = cpuMs() - began;
    expect(found).toBe(matches);
    expect(ms).toBeLessThan(2000);
  });

  it('or the text is given up, in an error that says so', () => {
    const find = translate('a{1,600}a{1,600}b');
    expect(() => find(a, () => {})).toThrow(/^tokenizer\.json: top level: the pattern "a\{1,600\}a\{1,600\}b" takes too many steps on this text: /);
    expect(() => find(a, () => {})).toThrow(TokenizerError);
    const found: number[] = [];
    find('aaab', (...match) => found.push(...match)); // it goes on working
    expect(found).toEqual([0, 4]);
  });
});

/** An independent measure: how often a matcher by definition comes to a place in the text, in patterns of a, b, | * + ? and groups. */
function steps(pattern: string, text: string, limit: number): number {
  let count = 0;
  type Next = (at: number) => boolean;
  let p = 0;
  type Match = (at: number, next: Next) => boolean;
  const visit = (): void => { if (++count > limit) throw new RangeError('too long'); };
  const choice = (): Match => {
    const parts = [sequence()];
    while (pattern[p] === '|') { p++; parts.push(sequence()); }
    return (at, next) => parts.some((part) => part(at, next));
  };
  const sequence = (): Match => {
    const parts: Match[] = [];
    while (p < pattern.length && !'|)'.includes(pattern[p]!)) parts.push(item());
    return parts.reduceRight<Match>((rest, part) => (at, next) => part(at, (end) => rest(end, next)), (at, next) => next(at));
  };
  const item = (): Match => {
    let one: Match;
    if (pattern[p] === '(') {
      p += 3;
      one = choice();
      p++;
    } else {
      const char = pattern[p++]!;
      one = (at, next) => { visit(); return text[at] === char && next(at + 1); };
    }
    const sign = pattern[p];
    if (sign !== undefined && '*+?'.includes(sign)) {
      p++;
      const body = one;
      const more: Match = (at, next) => body(at, (end) => end > at && (sign === '?' ? next(end) : more(end, next))) || next(at);
      one = sign === '+' ? (at, next) => body(at, (end) => more(end, next)) : more;
    }
    return one;
  };
  const match = choice();
  for (let at = 0; at <= text.length; at++) match(at, (end) => { visit(); return end === text.length + 1; });
  return count;
}

const seed = freshSeed();
it(`what is taken takes few steps on texts that almost match (seed ${seed})`, () => {
  const random = randomFrom(seed);
  const make = (depth: number): string => {
    const atom = depth > 0 && random.unit() < 0.45 ? `(?:${make(depth - 1)})` : 'ab'[random.integer(0, 1)]!;
    const one = atom + ['', '', '*', '+', '?'][random.integer(0, 4)]!;
    return random.unit() < 0.6 ? one + (random.unit() < 0.3 ? '|' : '') + (depth > 0 ? make(depth - 1) : 'a') : one;
  };
  let [taken, refused] = [0, 0];
  for (let round = 0; round < 600; round++) {
    const pattern = `${make(3)}c`.replace(/\|c$/, 'c'); // c, which no text has, comes last: all ways are tried
    const whole = `(?:${pattern.slice(0, -1)})c`;
    let isTaken = true;
    try {
      translate(whole);
    } catch (error) {
      expect(error).toBeInstanceOf(TokenizerError);
      isTaken = false;
    }
    if (!isTaken) refused++;
    else {
      taken++;
      for (const text of ['a'.repeat(40), 'b'.repeat(40), 'ab'.repeat(20), 'aab'.repeat(13)]) expect(() => steps(whole, text, 2_000_000), `${whole} on ${text}`).not.toThrow();
    }
  }
  expect(Math.min(taken, refused)).toBeGreaterThan(50);
});
