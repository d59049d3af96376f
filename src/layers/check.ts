import { ArgumentError } from '../errors.js';

/** Throws `ArgumentError` unless `array` has `length` elements (or at least as many). Layers call it once, when built. */
export function requireLength(
  what: string, array: { readonly length: number }, length: number, relation: 'exactly' | 'at least' = 'exactly',
): void {
  const found = array?.length;
  if (!(relation === 'exactly' ? found === length : found >= length)) throw new ArgumentError(`${what} has ${found} elements, needs ${relation} ${length}`);
}

/** Throws `ArgumentError` unless a forward pass of `tokens` tokens fits a workspace. */
export function requireTokens(tokens: number, maxTokens: number): void {
  if (!(tokens <= maxTokens)) throw new ArgumentError(`${tokens} tokens at once do not fit a workspace for ${maxTokens}`);
}
