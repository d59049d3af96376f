import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { freshSeed, randomFrom } from '../support/random.js';
import { PARTS } from '../support/tokenizer.js';
import { json } from './helpers.js';
import { compiled, hostileText, searchHostileTexts, sharedPattern } from './random-patterns.js';

const seed = freshSeed();

/** The pieces that a pattern cuts a text into. */
function pieces(find: NonNullable<ReturnType<typeof compiled>>, text: string): string[] {
  const out: string[] = [];
  let done = 0;
  find(text, (start, end) => {
    out.push(text.slice(done, start), text.slice(start, end));
    done = end;
  });
  return [...out, text.slice(done)].filter((piece) => piece !== '');
}

function piecesOfRegExp(expression: RegExp, text: string): string[] {
  return pieces((input, each) => { for (const { 0: found, index } of input.matchAll(expression)) each(index, index + found.length); }, text);
}

it(`random patterns match as Oniguruma matches them in Rust's tokenizers`, () => {
  const cases = JSON.parse(readFileSync(new URL('../fixtures/tokenizers/patterns.vectors.json', import.meta.url), 'utf8')) as [string, [string, string[]][]][];
  for (const [pattern, texts] of cases) {
    const find = PARTS.compileRegex(json(pattern));
    for (const [text, expected] of texts) expect(pieces(find, text), `${pattern} on ${JSON.stringify(text)}`).toEqual(expected);
  }
});

it(`random patterns match as in JavaScript, also when much is tried (SEED=${seed})`, () => {
  const numbers = randomFrom(seed);
  let taken = 0;
  for (let round = 0; round < 200; round++) {
    const pattern = sharedPattern(numbers);
    const find = compiled(pattern);
    if (find === undefined) continue;
    taken++;
    const expression = new RegExp(pattern, 'gu');
    for (const text of ['', 'a', 'ab', hostileText(numbers, 9), hostileText(numbers, 100)]) {
      expect(pieces(find, text), `${pattern} on ${JSON.stringify(text)}`).toEqual(piecesOfRegExp(expression, text));
    }
  }
  expect(taken).toBeGreaterThan(100);
});

it(`300 random patterns that are accepted take less than a second on hostile texts (SEED=${seed})`, () => {
  const { worstMs, worst, refused } = searchHostileTexts(randomFrom(seed), 300);
  expect(worstMs, worst).toBeLessThan(1000);
  expect(refused).toBeGreaterThan(50);
});
