import { float16ToFloat32Bits } from '../../formats/floats.js';
import { createRounding } from '../../formats/rounding.js';
import { PAGE_POSITIONS, type KeyValuePages, type PageTable } from '../kernels.js';
import { dot } from './dot.js';
import type { Gates } from './exp.js';

const { fround } = Math;

/** Below every score; finite, so that what comes before the first tile is weighted by exp(-3e38 - m) = 0, not by NaN. */
const LOWEST = fround(-3e38);

export function rotate(
  x: Float32Array, heads: number, headDim: number, pairs: number, angles: Float32Array, tokens: number,
): void {
  for (let t = 0; t < tokens; t++) {
    const angle = t * 2 * pairs;
    for (let h = 0; h < heads; h++) {
      const at = (t * heads + h) * headDim;
      for (let j = 0; j < pairs; j++) {
        const a = x[at + j], b = x[at + pairs + j];
        const cosine = angles[angle + j], sine = angles[angle + pairs + j];
        x[at + j] = fround(fround(a * cosine) - fround(b * sine));
        x[at + pairs + j] = fround(fround(b * cosine) + fround(a * sine));
      }
    }
  }
}

export interface ScalarAttention {
  storeKeysValues(keys: Float32Array, values: Float32Array, pages: KeyValuePages, table: PageTable): void;
  attention(q: Float32Array, heads: number, pages: KeyValuePages, table: PageTable, window: number, out: Float32Array): void;
}

export function createAttention(gates: Gates): ScalarAttention {
  const { toHalf } = createRounding();
  const word = new Float32Array(1);
  const bits = new Uint32Array(word.buffer);
  const weights = new Float32Array(PAGE_POSITIONS);
  let channels = new Float32Array(0); // one key or value
  let mixed = new Float32Array(0); //    one head's values, weighted so far

  function read(elements: KeyValuePages['elements'], at: number, count: number): void {
    if (elements instanceof Float32Array) {
      for (let j = 0; j < count; j++) channels[j] = elements[at + j];
      return;
    }
    for (let j = 0; j < count; j++) {
      bits[0] = float16ToFloat32Bits(elements[at + j]);
      channels[j] = word[0];
    }
  }

  function reserve(headDim: number): void {
    if (channels.length >= headDim) return;
    channels = new Float32Array(headDim);
    mixed = new Float32Array(headDim);
  }

  function storeKeysValues(keys: Float32Array, values: Float32Array, { elements, pageElements, kvHeads, headDim }: KeyValuePages, table: PageTable): void {
    const { pages, firstPage, row, position, tokens } = table;
    const isHalf = elements instanceof Uint16Array;
    const half = kvHeads * PAGE_POSITIONS * headDim;
    for (let t = 0; t < tokens; t++) {
      const p = position + t;
      const page = pages[Math.floor(p / PAGE_POSITIONS) - firstPage] * pageElements;
      for (let h = 0; h < kvHeads; h++) {
        const from = ((row + t) * kvHeads + h) * headDim;
        const to = page + (h * PAGE_POSITIONS + (p % PAGE_POSITIONS)) * headDim;
        for (let j = 0; j < headDim; j++) {
          elements[to + j] = isHalf ? toHalf(keys[from + j]) : keys[from + j];
          elements[to + half + j] = isHalf ? toHalf(values[from + j]) : values[from + j];
        }
      }
    }
  }

  function attention(q: Float32Array, heads: number, { elements, pageElements, kvHeads, headDim }: KeyValuePages, table: PageTable, window: number, out: Float32Array): void {
    const { pages, firstPage, row, position, tokens } = table;
    reserve(headDim);
    const scale = fround(1 / fround(Math.sqrt(headDim)));
    for (let t = 0; t < tokens; t++) {
      const end = position + t + 1;
      const begin = Math.max(0, end - window);
      for (let h = 0; h < heads; h++) {
        const query = ((row + t) * heads + h) * headDim;
        const kvHead = Math.floor((h * kvHeads) / heads) * PAGE_POSITIONS * headDim;
        let maximum = LOWEST;
        let total = 0;
        mixed.fill(0, 0, headDim);
        for (let tile = Math.floor(begin / PAGE_POSITIONS); tile * PAGE_POSITIONS < end; tile++) {
          const first = Math.max(0, begin - tile * PAGE_POSITIONS);
          const last = Math.min(PAGE_POSITIONS, end - tile * PAGE_POSITIONS);
          const keys = pages[tile - firstPage] * pageElements + kvHead;
          const values = keys + kvHeads * PAGE_POSITIONS * headDim;
          let highest = maximum;
          for (let p = first; p < last; p++) {
            read(elements, keys + p * headDim, headDim);
            const score = fround(dot(q, query, channels, 0, headDim) * scale);
            weights[p] = score;
            if (score > highest) highest = score;
          }
          const correction = gates.exp(fround(maximum - highest));
          maximum = highest;
          for (let p = 0; p < PAGE_POSITIONS; p++) {
            weights[p] = p >= first && p < last ? gates.exp(fround(weights[p] - highest)) : 0;
          }
          total = fround(fround(total * correction) + sum(weights));
          for (let j = 0; j < headDim; j++) mixed[j] = fround(mixed[j] * correction);
          for (let p = first; p < last; p++) {
            const weight = weights[p];
            read(elements, values + p * headDim, headDim);
            for (let j = 0; j < headDim; j++) mixed[j] = fround(mixed[j] + fround(weight * channels[j]));
          }
        }
        for (let j = 0; j < headDim; j++) out[query + j] = fround(mixed[j] / total);
      }
    }
  }

  return { storeKeysValues, attention };
}

const LANES = 8;

/** Σ of a tile's weights in eight lanes, then the tree of `sumOfSquares`. */
function sum(weights: Float32Array): number {
  const lane = (first: number): number => {
    let total = 0;
    for (let p = first; p < PAGE_POSITIONS; p += LANES) total = fround(total + weights[p]);
    return total;
  };
  const even = fround(fround(lane(0) + lane(4)) + fround(lane(2) + lane(6)));
  const odd = fround(fround(lane(1) + lane(5)) + fround(lane(3) + lane(7)));
  return fround(even + odd);
}
