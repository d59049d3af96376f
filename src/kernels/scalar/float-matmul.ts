import { decodeFloats, type FloatType } from '../../formats/floats.js';
import { dot } from './dot.js';

/** See `Kernels.floatMatmul`. Each row is decoded once for all tokens. */
export function createFloatMatmul(): (bytes: Uint8Array, type: FloatType, rows: number, x: Float32Array, columns: number, tokens: number, out: Float32Array) => void {
  let row = new Float32Array(0);
  return (bytes, type, rows, x, columns, tokens, out) => {
    if (row.length !== columns) row = new Float32Array(columns);
    for (let r = 0; r < rows; r++) {
      decodeFloats(type, bytes, r * columns, columns, row);
      for (let t = 0; t < tokens; t++) out[t * rows + r] = dot(row, 0, x, t * columns, columns);
    }
  };
}
