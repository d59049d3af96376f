import { ArgumentError, show } from './errors.js';

/** @returns `value`. @throws ArgumentError unless it is a number (a whole one, if asked) from `min` to `max`. */
export function checkNumber(name: string, value: unknown, min: number, max: number, kind: 'any' | 'whole' = 'any'): number {
  const fits = typeof value === 'number' && value >= min && value <= max && (kind === 'any' || Number.isInteger(value));
  if (!fits) {
    const range = max >= Number.MAX_SAFE_INTEGER ? `at least ${min}` : `from ${min} to ${max}`;
    throw new ArgumentError(`option ${name} is ${show(value)}, not a ${kind === 'whole' ? 'whole ' : ''}number ${range}`);
  }
  return value;
}

/** @throws ArgumentError for what is given and no function. */
export function checkFunction(name: string, value: unknown): void {
  if (value !== undefined && typeof value !== 'function') throw new ArgumentError(`option ${name} is ${show(value)}, not a function`);
}

/** @throws ArgumentError naming an option that does not exist: a misspelt option must not be ignored. */
export function checkKeys(what: string, options: object, known: readonly string[]): void {
  if (typeof options !== 'object' || options === null) throw new ArgumentError(`${what}: the options are ${show(options)}, not an object`);
  for (const key of Object.keys(options)) {
    if (known.includes(key)) continue;
    const near = nearest(key, known);
    throw new ArgumentError(`${what}: unknown option ${show(key)} (known: ${known.join(', ')})${near && `; did you mean ${near}?`}`);
  }
}

/** The one of `known` that `key` may be a slip of, such as top_k of topK, or ''. */
function nearest(key: string, known: readonly string[]): string {
  const plain = (name: string): string => name.slice(0, 32).toLowerCase().replace(/[^a-z0-9]/g, '');
  const distances = known.map((name) => editDistance(plain(key), plain(name)));
  const least = Math.min(...distances);
  const best = known[distances.indexOf(least)] ?? '';
  return least <= best.length / 3 ? best : '';
}

/** Letters to insert, drop or change (Levenshtein). */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)));
    }
    row = next;
  }
  return row[b.length]!;
}
