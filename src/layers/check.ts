import { ArgumentError } from '../errors.js';
import type { Kernels, TransformerKernels } from '../kernels/kernels.js';

/** Throws `ArgumentError` unless `array` has `length` elements (or at least as many). Layers call it once, when built. */
export function requireLength(
  what: string, array: { readonly length: number }, length: number, relation: 'exactly' | 'at least' = 'exactly',
): void {
  const found = array?.length;
  if (!(relation === 'exactly' ? found === length : found >= length)) throw new ArgumentError(`${what} has ${found} elements, needs ${relation} ${length}`);
}

/** Throws `ArgumentError` unless the kernels have those of Transformers. */
export function requireTransformer(what: string, kernels: Kernels): TransformerKernels {
  if (!kernels.transformer) throw new ArgumentError(`${what} needs createKernels({ transformer: true })`);
  return kernels.transformer;
}

/** Throws `ArgumentError` unless a forward pass of `tokens` tokens fits a workspace. */
export function requireTokens(tokens: number, maxTokens: number): void {
  if (!(tokens <= maxTokens)) throw new ArgumentError(`${tokens} tokens at once do not fit a workspace for ${maxTokens}`);
}
