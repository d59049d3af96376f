import { createContext, runInContext } from 'node:vm';
import type { Random } from './helpers.js';

function pick<T>(random: Random, list: readonly T[]): T {
  return list[random.integer(0, list.length - 1)]!;
}

const ATOMS = ['a', 'b', 'c', '7', ' ', '\\.', '-', 'é', '日', '"', '\\{', '\\\\', '.', '\\d', '\\w', '\\s', '\\S', '\\W', '[a-f]', '[^a-f]', '[^\\d\\s]', '[é-ÿ]', '\\u00e9', '\\x41', '\\u{1f600}', '[\\w.-]'];
const BOUNDED = ['?', '{2}', '{1,3}', '{0,2}', '??', '{1,2}?'];
const UNBOUNDED = ['*', '+', '{2,}', '*?', '+?'];

/** Repetitions without end in one pattern: JavaScript's matcher, which tells what is right, tries them all together. */
const MAX_UNBOUNDED = 4;

/** A random regular expression that JavaScript reads as we do, and soon: repetitions without end are not within each other. */
export function randomRegex(random: Random, depth = 3, atoms: readonly string[] = ATOMS): string {
  const left = { unbounded: MAX_UNBOUNDED };
  const alternatives = (level: number, isRepeated: boolean): string => {
    const rows = Array.from({ length: random.unit() < 0.3 ? random.integer(2, 3) : 1 }, () => {
      const count = random.integer(level === depth ? 1 : 0, 4);
      return Array.from({ length: count }, () => item(level, isRepeated)).join('');
    });
    return rows.join('|');
  };
  const item = (level: number, isRepeated: boolean): string => {
    let quantifier = random.unit() < 0.4 ? pick(random, random.unit() < 0.6 ? BOUNDED : UNBOUNDED) : '';
    const isUnbounded = UNBOUNDED.includes(quantifier);
    if (isUnbounded && (isRepeated || left.unbounded-- <= 0)) quantifier = '?';
    const isGroup = level > 0 && random.unit() < 0.35;
    const atom = isGroup ? `${pick(random, ['(', '(?:', '(?:'])}${alternatives(level - 1, isRepeated || isUnbounded)})` : pick(random, atoms);
    return atom + quantifier;
  };
  return alternatives(depth, false);
}

const MATCHING_MS = 300;
const matching = createContext({});

/**
 * Whether a text matches, as JavaScript has it; undefined where it does not say so soon. Lazy or greedy makes no difference to
 * that, but V8 misses some matches of lazy repetitions within others (SEED=398516998 of random-runs.test.ts has one), so both are tried.
 */
export function matches(pattern: string, text: string, where: 'whole' | 'anywhere' = 'whole'): boolean | undefined {
  const greedy = pattern.replace(/(\\.|\[[^\]]*\])|([*+?}])\?/gsu, (_, kept: string | undefined, quantifier: string) => kept ?? quantifier);
  let found: boolean | undefined = false;
  for (const each of [pattern, greedy]) {
    try {
      Object.assign(matching, { source: where === 'whole' ? `^(?:${each})$` : each, text });
      if (runInContext('new RegExp(source, "u").test(text)', matching, { timeout: MATCHING_MS }) === true) return true;
    } catch (error) {
      if ((error as { code?: string }).code !== 'ERR_SCRIPT_EXECUTION_TIMEOUT' && !/too large/.test(String(error))) throw error;
      found = undefined;
    }
  }
  return found;
}
