import type { TensorSpec } from '../architectures/blueprint.js';
import { exp } from '../platform/numeric.js';

/** Floats as a layer takes them, of those that safetensors and PyTorch files have less one, or as a logarithm (bonsai.md §3.4). */
export function asComputed(stored: NonNullable<TensorSpec['hfFloats']>, values: Float32Array): Float32Array {
  return values.map((value) => (stored === 'less one' ? 1 + value : -exp(value)));
}
