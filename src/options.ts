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

/** What an option is where it is not given, the least and the greatest that it may be, and its kind. */
export type NumberRange = readonly [fallback: number, min: number, max: number, kind?: 'whole'];

/** @returns all the options of `ranges`. @throws ArgumentError as `checkNumber`. */
export function checkNumbers<Key extends string>(ranges: Readonly<Record<Key, NumberRange>>, options: { readonly [Name in NoInfer<Key>]?: unknown }): Record<Key, number> {
  return Object.fromEntries(Object.entries<NumberRange>(ranges).map(([key, [fallback, min, max, kind]]) =>
    [key, checkNumber(key, options[key as Key] ?? fallback, min, max, kind)])) as Record<Key, number>;
}

/** @returns `value`. @throws ArgumentError unless it is true or false. */
export function checkBoolean(name: string, value: unknown): boolean {
  if (typeof value !== 'boolean') throw new ArgumentError(`option ${name} is ${show(value)}, not true or false`);
  return value;
}

/**
 * What is given of `options`: undefined and null are as if they were not there.
 * @throws ArgumentError when they are no object, or for a signal or a callback that is none.
 */
export function given<Options extends object>(what: string, options: Options): Options {
  if (typeof options !== 'object' || options === null) throw new ArgumentError(`${what}: the options are ${show(options)}, not an object`);
  const entries = Object.entries(options).filter(([key, value]) => {
    if ((value ?? undefined) === undefined) return false;
    const wanted = key === 'signal' ? typeof value.throwIfAborted !== 'function' && 'an AbortSignal' : /^on[A-Z]/.test(key) && typeof value !== 'function' && 'a function';
    if (wanted) throw new ArgumentError(`option ${key} is ${show(value)}, not ${wanted}`);
    return true;
  });
  return Object.fromEntries(entries) as Options;
}

/** As `given`. @throws ArgumentError also naming an option that does not exist: a misspelt one must not be ignored. */
export function givenOptions<Options extends object>(what: string, options: Options, known: readonly string[]): Options {
  const found = given(what, options);
  const other = Object.keys(options).find((key) => !known.includes(key));
  if (other === undefined) return found;
  throw new ArgumentError(`${what}: unknown option ${show(other)} (known: ${known.join(', ')})${didYouMean(other, known)}`);
}

/**
 * @param what the caller's function and argument: 'generate: the prompt'.
 * @param forSeveral the function that takes several texts, if there is one.
 * @throws ArgumentError unless it is a text, or a list that may be one of token ids: the model looks at these.
 */
export function checkTextOrIds(what: string, value: unknown, forSeveral = ''): void {
  if (typeof value === 'string') return;
  const isList = typeof value === 'object' && typeof (value as { length?: unknown } | null)?.length === 'number';
  const first = isList ? ((value as ArrayLike<unknown>)[0] ?? 0) : value;
  if (isList && typeof first !== 'string' && typeof first !== 'object') return;
  const advice = isList && forSeveral ? `; ${forSeveral} takes several` : '';
  throw new ArgumentError(`${what} is ${isList ? 'a list of texts' : show(value)}, not one text or a list of token ids${advice}`);
}

/** '; did you mean …?', if `name` may be a slip of one of `known`, such as top_k of topK; else ''. */
export function didYouMean(name: string, known: readonly string[]): string {
  const near = nearest(name, known);
  return near && `; did you mean ${near}?`;
}

/** The one of `known` that `key` may be a slip of, or ''. */
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
