import { describe, expect, it } from 'vitest';
import { show, TokenizerError } from '../../src/errors.js';
import { json } from './helpers.js';
import { PARTS } from '../support/tokenizer.js';

const matches = (pattern: string, text: string): string[] => {
  const found: string[] = [];
  PARTS.compileRegex(json(pattern))(text, (start, end) => found.push(text.slice(start, end)));
  return found;
};

describe('what a pattern matches', () => {
  it.each<[string, string, string[]]>([
    ['(?i:\'s|\'re)', "'S 're 'ſ 'RE 's", ["'S", "'re", "'ſ", "'RE", "'s"]],
    ['(?i:k)', 'kK\u212ax', ['k', 'K', '\u212a']],
    ['(?i:[a-z])+', 'aZſ\u212a9', ['aZſ\u212a']],
    ['(?i)ab|c', 'AB Cc aB', ['AB', 'C', 'c', 'aB']],
    ['a(?i)b|c', 'aB aC ab c', ['aB', 'aC', 'ab']],
    ['(?i:a(?-i:b))', 'Ab AB', ['Ab']],
    ['\\s', 'a\u0085\ufeff\u00a0\t', ['\u0085', '\u00a0', '\t']],
    ['\\S+', 'a\u0085\ufeffb', ['a', '\ufeffb']],
    ['\\d+', '12a٣Ⅷ', ['12', '٣']],
    ['\\D', '1a', ['a']],
    ['\\w+', 'é_1 ‿-漢', ['é_1', '‿', '漢']],
    ['\\W+', 'é_1 -漢', [' -']],
    ['[\\W_]+', 'a_ -b', ['_ -']],
    ['[^\\W\\d_]+', 'ab1_c', ['ab', 'c']],
    ['[^\\s\\p{L}\\p{N}]+', 'a!? 1', ['!?']],
    ['\\p{Han}+', 'a漢字b', ['漢字']],
    ['\\p{^L}+', 'a1!b', ['1!']],
    ['\\P{^L}+', 'a1!b', ['a', 'b']],
    ['[\\p{^L}a]+', 'ab1', ['a', '1']],
    ['\\p{letter}+\\p{greek}', 'abγ', ['abγ']],
    ['\\p{Alpha}+', 'ab1', ['ab']],
    ['[[:alpha:][:digit:]]+', 'a1!', ['a1']],
    ['[[:^alpha:]]+', 'a1!', ['1!']],
    ['.+', 'a\rb\nc\u2028d', ['a\rb', 'c\u2028d']],
    ['(?m:.+)', 'a\nb', ['a\nb']],
    ['^a', 'a\nab\ra', ['a', 'a']],
    ['a$', 'a\nba\ra', ['a', 'a']],
    ['\\Aa|b\\z', 'aab\nab', ['a', 'b']],
    ['a\\Z', 'aa\n', ['a']],
    ['\\bé', 'é aé', ['é']],
    ['é\\B', 'éa é', ['é']],
    ['a++b', 'aaab', ['aaab']],
    ['a++ab', 'aaab', []],
    ['a?+a', 'a aa', ['aa']],
    ['(?>a|ab)c', 'abc ac', ['ac']],
    ['(?>a+)+b', 'aab', ['aab']],
    ['\\p{N}{1,3}+', '1234567', ['1234567']],
    ['\\p{N}{1,3}', '1234567', ['123', '456', '7']],
    ['a{,2}b', 'aaab', ['aab']],
    ['a{2}?b', 'aab b', ['aab', 'b']],
    ['a{1,2}?', 'aa', ['a', 'a']],
    ['a+?', 'aa', ['a', 'a']],
    ['x{y}', 'x{y}', ['x{y}']],
    ['a(?=b)', 'ab ac', ['a']],
    ['a(?!b)', 'ab ac', ['a']],
    ['(?<=a)b', 'ab cb', ['b']],
    ['(?<!a)b', 'ab cb', ['b']],
    ['(?:(?=a))?b', 'b', ['b']],
    ['(?=a)*ab', 'ab', ['ab']],
    ['(a)(?<n>b)', 'ab', ['ab']],
    ['(?#comment)a', 'a', ['a']],
    ['[a-c&&[^b]]+', 'abc', ['a', 'c']],
    ['[^a-c&&[^b]]', 'abcd', ['b', 'd']],
    ['[a[bc]]+', 'abcd', ['abc']],
    ['[^a[bc]]+', 'abcd😀', ['d😀']],
    [' ?[^(\\s|[.,!?…。，、।۔،])]+', 'Hi, you|(x)', ['Hi', ' you', 'x']],
    ['[!"#$%&\'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+', '!a ^b ]c', ['!a', '^b', ']c']],
    ['[-+]|[+-]', '-+', ['-', '+']],
    ['[\\t\\x{1F600}\\u00e9]', '\t😀é', ['\t', '😀', 'é']],
    ['\\/\\-\\#\\ \\"', '/-# "', ['/-# "']],
    ['\\R', 'a\r\nb\u2028', ['\r\n', '\u2028']],
    ['\\h+', 'fg1', ['f', '1']],
    ['😀+', '😀😀', ['😀😀']],
    ['[😀-😂]', '😁', ['😁']],
    [']}', ']}', [']}']],
  ])('%s', (pattern, text, expected) => {
    expect(matches(pattern, text)).toEqual(expected);
  });
});

it('translates the patterns of well-known models', () => {
  const gpt4 = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
  expect(matches(gpt4, "Hello  World'S 12345!\n\n x")).toEqual(['Hello', ' ', ' World', "'S", ' ', '123', '45', '!\n\n', ' x']);
  const gpt4o =
    "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s+";
  expect(matches(gpt4o, "HelloWorld it'S")).toEqual(['Hello', 'World', " it'S"]);
  expect(matches('[一-龥\u3040-ゟ゠-ヿ]+', 'a漢かカb')).toEqual(['漢かカ']);
  expect(matches("'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}++|\\s++$|\\s+(?!\\S)|\\s", "I'LL go  ")).toEqual(['I', "'LL", ' go', '  ']);
});

describe('what it refuses, by name', () => {
  it.each<[string, string]>([
    ['(a)\\1', '\\\\1'],
    ['\\k<n>', '\\\\k'],
    ['\\G', '\\\\G'],
    ['\\X', '\\\\X'],
    ['\\K', '\\\\K'],
    ['(?i:é)', 'case ignored'],
    ['(?i:ss)', '"ss" with case ignored'],
    ['(?i:\\p{Lu})', '\\p{Lu} with case ignored'],
    ['(?x: a)', '(?x'],
    ['(?~a)', '(?~'],
    ['(?(1)a|b)', '(?('],
    ['(*FAIL)', 'call-out'],
    ['\\p{NoSuchThing}', '\\p{NoSuchThing}'],
    ['\\pL', '\\p without'],
    ['[[:graph:]]', '[:graph:]'],
    ['[]a]', 'begins with ]'],
    ['[a', 'unclosed class'],
    ['[b-a]', 'reversed range'],
    ['[a-\\d]', 'ends in a set'],
    ['(a', 'unclosed group'],
    ['a)', 'unmatched )'],
    ['*a', 'nothing before it'],
    ['a{3,2}', 'interval'],
    ['(?<=a++)b', 'inside a look-behind'],
    ['\\xff', '\\xff'],
    ['a\\', 'unexpected end'],
    ['('.repeat(200) + ')'.repeat(200), 'nested deeper'],
  ])('%s', (pattern, construct) => {
    let message = '';
    try {
      PARTS.compileRegex(json({ pattern: { Regex: pattern } }).key('pattern').key('Regex'));
    } catch (error) {
      expect(error).toBeInstanceOf(TokenizerError);
      message = (error as Error).message;
    }
    expect(message).toContain('tokenizer.json: pattern.Regex');
    expect(message).toContain(show(pattern));
    expect(message).toContain(construct.replace('\\\\', '\\'));
  });
});
