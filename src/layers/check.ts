import { ArgumentError } from '../errors.js';

/** Throws `ArgumentError` unless `array` has `length` elements (or at least as many). Layers call it once, when built. */
export function requireLength(
  what: string, array: { readonly length: number }, length: number, relation: 'exactly' | 'at least' = 'exactly',
): void {
  const fits = relation === 'exactly' ? array.length === length : array.length >= length;
  if (!fits) throw new ArgumentError(`${what} has ${array.length} elements, needs ${relation} ${length}`);
}

/** Throws `ArgumentError` unless a forward pass of `tokens` tokens fits a workspace. */
export function requireTokens(tokens: number, maxTokens: number): void {
  if (!(tokens <= maxTokens)) throw new ArgumentError(`${tokens} tokens at once do not fit a workspace for ${maxTokens}`);
}
