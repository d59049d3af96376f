const { fround } = Math;

/** See `DeltaNetKernels.hadamard`. */
export function hadamard(x: Float32Array, signs: Float32Array | undefined, block: number, width: number, tokens: number, out: Float32Array): void {
  for (let t = 0; t < tokens; t++) {
    for (let j = 0, at = t * width; j < width; j++, at++) out[at] = signs ? x[at]! * signs[j]! : x[at]!;
  }
  const factor = hadamardFactor(block);
  for (let start = 0; start < tokens * width; start += block) {
    for (let half = 1; half < block; half *= 2) {
      for (let pair = start; pair < start + block; pair += 2 * half) {
        for (let i = pair; i < pair + half; i++) {
          const a = out[i]!, b = out[i + half]!;
          out[i] = a + b; // rounded by being stored
          out[i + half] = a - b;
        }
      }
    }
    for (let i = start; i < start + block; i++) out[i] = out[i]! * factor;
  }
}

/** 1 / √block in float32. */
export function hadamardFactor(block: number): number {
  return fround(1 / fround(Math.sqrt(block)));
}
