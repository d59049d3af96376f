import { ArgumentError } from '../errors.js';

/** Throws `ArgumentError` unless `array` has `length` elements (or at least as many). Layers call it once, when built. */
export function requireLength(
  what: string, array: { readonly length: number }, length: number, relation: 'exactly' | 'at least' = 'exactly',
): void {
  const fits = relation === 'exactly' ? array.length === length : array.length >= length;
  if (!fits) throw new ArgumentError(`${what} has ${array.length} elements, needs ${relation} ${length}`);
}
