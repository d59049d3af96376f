import type { FindMatches } from '../../src/tokenizer/pattern.js';
import { TokenizerError } from '../../src/errors.js';
import { cpuMs } from '../support/cpu.js';
import type { randomFrom } from '../support/random.js';
import { PARTS } from '../support/tokenizer.js';
import { json } from './helpers.js';

type Random = ReturnType<typeof randomFrom>;

function pick<T>(random: Random, list: readonly T[]): T {
  return list[random.integer(0, list.length - 1)]!;
}

const ATOMS = ['a', 'a', 'b', 'c', '[ab]', '[^b]', '.', '\\w', '\\s', '\\p{L}', 'ab', '(?i:k)', ''];
const ASSERTIONS = ['\\b', '\\B', '^', '$', '\\z', '(?!c)', '(?<=a)'];
const TIMES = ['', '', '*', '+', '?', '*?', '+?', '??', '{2}', '{2,}', '{0,3}', '{1,2}', '{3,20}', '{,40}', '{30}', '*+', '++', '?+'];
const GROUPS = ['(?:', '(?:', '(?:', '(', '(?>', '(?=', '(?!', '(?<=', '(?<!'];

/** A pattern of any kind that files may have, the sooner ambiguous the better. */
export function randomPattern(random: Random, depth = 3): string {
  let pattern = '';
  for (let n = random.integer(1, 3); n > 0; n--) {
    const kind = random.unit();
    if (depth > 0 && kind < 0.5) {
      const open = pick(random, GROUPS);
      const alternatives = Array.from({ length: random.integer(1, 3) }, () => (random.unit() < 0.15 ? '' : randomPattern(random, depth - 1)));
      pattern += `${open}${alternatives.join('|')})${/^\(\?<?[=!]/.test(open) ? '' : pick(random, TIMES)}`;
    } else if (kind < 0.95) {
      const atom = pick(random, ATOMS);
      pattern += atom.length > 1 && /^\w+$/.test(atom) ? atom : `${atom}${atom === '' ? '' : pick(random, TIMES)}`;
    } else pattern += pick(random, ASSERTIONS);
  }
  return pattern;
}

/** A pattern that JavaScript reads as Oniguruma does: what may be repeated is something, and nothing is atomic. */
export function sharedPattern(random: Random, depth = 2): string {
  let pattern = '';
  for (let n = random.integer(1, 3); n > 0; n--) {
    if (depth > 0 && random.unit() < 0.4) {
      const [open, times] = pick(random, [['(?:', ['', '{2}']], ['(?=', ['']], ['(?!', ['']], ['(?<=', ['']], ['(?<!', ['']], ['(?:a', ['*', '+', '?', '*?', '+?', '??', '{1,3}', '{2,}']]] as const);
      pattern += `${open}${Array.from({ length: random.integer(1, 2) }, () => sharedPattern(random, depth - 1)).join(`|${open === '(?:a' ? 'b' : ''}`)})${pick(random, times)}`;
    } else pattern += pick(random, ['a', 'b', '[ab]', '[^b]', 'c', '\\p{L}']) + pick(random, ['', '', '*', '+', '?', '*?', '+?', '??', '{2,3}', '{2,}']);
  }
  return pattern;
}

/** What is compiled of a pattern, or undefined if it is refused. */
export function compiled(pattern: string): FindMatches | undefined {
  try {
    return PARTS.compileRegex(json(pattern));
  } catch (error) {
    if (!(error instanceof TokenizerError)) throw error;
    return undefined;
  }
}

const TEXTS = ['a', 'ab', 'aab', 'abc', 'a ', 'b', 'ba', 'aaaaaaaaac', 'k', ' '];

/** A text of `length` characters on which much matches, up to its end. */
export function hostileText(random: Random, length: number): string {
  return pick(random, TEXTS).repeat(length).slice(0, length - 1) + pick(random, ['a', 'b', 'c', '!', '\n', 'é']);
}

/** How long it takes to look for a pattern in a text, in ms of the processor (others use it too), and whether the text was given up. */
export function searchTime(find: FindMatches, text: string): { ms: number; isGivenUp: boolean } {
  const began = cpuMs();
  let isGivenUp = false;
  try {
    find(text, () => {});
  } catch (error) {
    if (!(error instanceof TokenizerError)) throw error;
    isGivenUp = true;
  }
  return { ms: cpuMs() - began, isGivenUp };
}

/** Looks for random patterns that are accepted in texts of 5,000 characters. Gives the worst time, and what took it. */
export function searchHostileTexts(random: Random, patterns: number): { accepted: number; refused: number; givenUp: number; worstMs: number; worst: string } {
  const result = { accepted: 0, refused: 0, givenUp: 0, worstMs: 0, worst: '' };
  while (result.accepted < patterns) {
    const pattern = randomPattern(random);
    const find = compiled(pattern);
    if (find === undefined) {
      result.refused++;
      continue;
    }
    result.accepted++;
    const text = hostileText(random, 5000);
    const { ms, isGivenUp } = searchTime(find, text);
    if (isGivenUp) result.givenUp++;
    if (ms > result.worstMs) Object.assign(result, { worstMs: ms, worst: `${JSON.stringify(pattern)} on ${JSON.stringify(text.slice(0, 12))}… ${JSON.stringify(text.slice(-2))}` });
  }
  return result;
}
