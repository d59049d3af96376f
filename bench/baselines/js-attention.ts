import { paddedCapacity, type KeyValueCache } from './float-kernels.js';
import { multiply } from './js-matmul.js';

/*
 * Attention of the JavaScript baseline. Keys lie as [head][position][channel] and values as [head][channel][position], so that both
 * products are rows times a vector. Rows of values are a little longer than the text may be: a power of two between them would put
 * all of them into the same few lines of the caches.
 */

/** Queries and keys of a tile. */
const QUERIES = 12;
const KEYS = 128;
const ROW_PADDING = 16;

/** Floats from one channel's values to the next one's. */
function valueStride(capacity: number): number {
  return paddedCapacity(capacity) + ROW_PADDING;
}

export function cacheFloats(heads: number, headSize: number, capacity: number): { keys: number; values: number } {
  return { keys: heads * paddedCapacity(capacity) * headSize, values: heads * headSize * valueStride(capacity) };
}

export function store(cache: KeyValueCache, keys: Float32Array, values: Float32Array, position: number, tokens: number): void {
  const { heads, headSize, capacity } = cache;
  const stride = valueStride(capacity);
  for (let t = 0; t < tokens; t++) {
    for (let head = 0; head < heads; head++) {
      const from = (t * heads + head) * headSize;
      const key = (head * paddedCapacity(capacity) + position + t) * headSize;
      const value = head * headSize * stride + position + t;
      for (let j = 0; j < headSize; j++) {
        cache.keys[key + j] = keys[from + j];
        cache.values[value + j * stride] = values[from + j];
      }
    }
  }
}

export function rotate(x: Float32Array, heads: number, headSize: number, angles: Float32Array, tokens: number): void {
  const half = headSize / 2;
  for (let t = 0; t < tokens; t++) {
    const cosines = t * headSize;
    for (let head = 0; head < heads; head++) {
      const at = (t * heads + head) * headSize;
      for (let j = 0; j < half; j++) {
        const a = x[at + j], b = x[at + half + j];
        const cosine = angles[cosines + j], sine = angles[cosines + half + j];
        x[at + j] = a * cosine - b * sine;
        x[at + half + j] = b * cosine + a * sine;
      }
    }
  }
}

export type Attention = (cache: KeyValueCache, q: Float32Array, position: number, tokens: number, out: Float32Array) => void;

/** The attention of `FloatKernels`, with its work space. */
export function createAttention(): Attention {
  const scores = new Float32Array(QUERIES * KEYS); //  [query][key]
  const weights = new Float64Array(QUERIES * KEYS); // the same, exp(score - maximum)
  const maxima = new Float64Array(QUERIES);
  const sums = new Float64Array(QUERIES);
  let queries = new Float64Array(0); // [query][channel], of one head
  let mixed = new Float32Array(0); //   [query][channel]

  /** Turns the scores of a query into weights, and what was mixed so far to the new maximum. */
  function carryOn(query: number, visible: number, keys: number, headSize: number): void {
    const row = query * KEYS;
    let maximum = maxima[query];
    for (let k = 0; k < visible; k++) maximum = Math.max(maximum, scores[row + k]);
    const correction = Math.exp(maxima[query] - maximum);
    let sum = sums[query] * correction;
    for (let k = 0; k < visible; k++) {
      const weight = Math.exp(scores[row + k] - maximum);
      weights[row + k] = weight;
      sum += weight;
    }
    for (let k = Math.max(visible, 0); k < keys; k++) weights[row + k] = 0;
    if (correction !== 1) {
      for (let j = 0; j < headSize; j++) mixed[query * headSize + j] *= correction;
    }
    maxima[query] = maximum;
    sums[query] = sum;
  }

  return (cache, q, position, tokens, out) => {
    const { heads, headSize, capacity } = cache;
    const width = heads * headSize;
    if (queries.length < QUERIES * headSize) {
      queries = new Float64Array(QUERIES * headSize);
      mixed = new Float32Array(QUERIES * headSize);
    }
    const scale = 1 / Math.sqrt(headSize);
    const stride = valueStride(capacity);
    for (let head = 0; head < heads; head++) {
      for (let first = 0; first < tokens; first += QUERIES) {
        const count = Math.min(QUERIES, tokens - first);
        for (let n = 0; n < count; n++) {
          for (let j = 0; j < headSize; j++) queries[n * headSize + j] = q[(first + n) * width + head * headSize + j] * scale;
        }
        maxima.fill(-Number.MAX_VALUE);
        sums.fill(0);
        mixed.fill(0);
        const end = position + first + count;
        for (let key = 0; key < end; key += KEYS) {
          const keys = Math.min(KEYS, end - key);
          const rows = Math.ceil(keys / 4) * 4; // beyond the last key the cache holds something, which is not looked at
          multiply(
            { array: cache.keys, at: (head * paddedCapacity(capacity) + key) * headSize, stride: headSize },
            { array: queries, at: 0, stride: headSize }, { array: scores, at: 0, stride: KEYS }, rows, headSize, count, false,
          );
          for (let n = 0; n < count; n++) carryOn(n, Math.min(keys, position + first + n + 1 - key), rows, headSize);
          multiply(
            { array: cache.values, at: head * headSize * stride + key, stride },
            { array: weights, at: 0, stride: KEYS }, { array: mixed, at: 0, stride: headSize }, headSize, rows, count, true,
          );
        }
        for (let n = 0; n < count; n++) {
          for (let j = 0; j < headSize; j++) out[(first + n) * width + head * headSize + j] = mixed[n * headSize + j] / sums[n];
        }
      }
    }
  };
}
