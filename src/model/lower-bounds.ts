import { exp } from '../platform/numeric.js';

/**
 * The forget gates' lower bounds: p = softmax over the layers, lb[l] = p[1] + … + p[l] (hgrn-bit.md, "Lower bounds": the
 * cumulative sum minus p[0]). raw, result: [layers, width]. Computed in float64 with the library's own exp.
 */
export function cumulativeLowerBounds(raw: Float32Array, layers: number, width: number): Float32Array {
  const bounds = new Float32Array(layers * width);
  const weights = new Float64Array(layers);
  for (let j = 0; j < width; j++) {
    let maximum = -Infinity;
    for (let l = 0; l < layers; l++) maximum = Math.max(maximum, raw[l * width + j]!);
    let total = 0;
    for (let l = 0; l < layers; l++) {
      weights[l] = exp(raw[l * width + j]! - maximum);
      total += weights[l]!;
    }
    for (let l = 1, sum = 0; l < layers; l++) {
      sum += weights[l]! / total;
      bounds[l * width + j] = sum;
    }
  }
  return bounds;
}

/** Row `row` of what `cumulativeLowerBounds` gave for bounds of this shape. */
export function lowerBoundOf(bounds: Float32Array, [, width = 0]: readonly number[], row: number): Float32Array {
  return bounds.subarray(row * width, (row + 1) * width);
}
