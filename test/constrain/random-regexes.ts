import type { Random } from './helpers.js';

function pick<T>(random: Random, list: readonly T[]): T {
  return list[random.integer(0, list.length - 1)]!;
}

const ATOMS = ['a', 'b', 'c', '7', ' ', '\\.', '-', 'é', '日', '"', '\\{', '\\\\', '.', '\\d', '\\w', '\\s', '\\S', '\\W', '[a-f]', '[^a-f]', '[^\\d\\s]', '[é-ÿ]', '\\u00e9', '\\x41', '\\u{1f600}', '[\\w.-]'];

/** A random regular expression that JavaScript reads as we do. */
export function randomRegex(random: Random, depth = 3, atoms: readonly string[] = ATOMS): string {
  const rows = Array.from({ length: random.unit() < 0.3 ? random.integer(2, 3) : 1 }, () => {
    const count = random.integer(depth === 3 ? 1 : 0, 4);
    return Array.from({ length: count }, () => item(random, depth, atoms)).join('');
  });
  return rows.join('|');
}

function item(random: Random, depth: number, atoms: readonly string[]): string {
  const atom = depth > 0 && random.unit() < 0.35 ? `${pick(random, ['(', '(?:', '(?:'])}${randomRegex(random, depth - 1, atoms)})` : pick(random, atoms);
  return atom + (random.unit() < 0.4 ? pick(random, ['*', '+', '?', '{2}', '{1,3}', '{0,2}', '{2,}', '*?', '+?']) : '');
}
