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

/** @throws ArgumentError naming an option that does not exist: a misspelt option must not be ignored. */
export function checkKeys(what: string, options: object, known: readonly string[]): void {
  if (typeof options !== 'object' || options === null) throw new ArgumentError(`${what}: the options are ${show(options)}, not an object`);
  for (const key of Object.keys(options)) {
    if (!known.includes(key)) throw new ArgumentError(`${what}: unknown option "${key}" (known: ${known.join(', ')})`);
  }
}
