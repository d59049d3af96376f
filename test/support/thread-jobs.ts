import type { Arena, Kernels, TernaryMatrix } from 'matmulfree';

/** A call of a kernel that is large enough for all threads; its result depends on `variant` only. */
export interface Job {
  readonly name: string;
  /** @returns the result, in an array that the next run overwrites. */
  run(variant: number): Uint8Array;
}

export const VARIANTS = 3;
/** What a result holds before the kernel writes it. */
const UNWRITTEN = 0xee;

/** Always the same numbers in [0, 1), millions of them in no time: Marsaglia's xorshift. */
function numbers(): () => number {
  let state = 0x9e3779b9;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}

/** The same jobs, with the same numbers, on every `Kernels` that is given. */
export function createJobs(kernels: Kernels, arena: Arena): Job[] {
  const random = numbers();
  const jobs: Job[] = [];
  const floats = (length: number): Float32Array => {
    const array = arena.f32(length);
    for (let i = 0; i < length; i++) array[i] = (random() - 0.5) * 8;
    return array;
  };
  const bytesOf = ({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array => new Uint8Array(buffer, byteOffset, byteLength);
  const add = (name: string, out: ArrayBufferView, run: (variant: number) => void, clear = true): void => {
    const bytes = bytesOf(out);
    jobs.push({
      name,
      run(variant) {
        if (clear) bytes.fill(UNWRITTEN);
        run(variant);
        return bytes;
      },
    });
  };
  const product = (rows: number, columns: number, tokens: number): void => {
    const matrix: TernaryMatrix = kernels.createTernary(arena, rows, columns);
    const trits = new Int8Array(columns);
    for (let row = 0; row < rows; row++) {
      matrix.scales[row] = 0.5 + random();
      for (let column = 0; column < columns; column++) trits[column] = Math.floor(random() * 3) - 1;
      kernels.packRow(matrix, row, trits);
    }
    const inputs = Array.from({ length: VARIANTS }, () => {
      const q = arena.i8(tokens * columns);
      for (let i = 0; i < q.length; i++) q[i] = Math.floor(random() * 255) - 127;
      return { q, scales: floats(tokens) };
    });
    const out = arena.f32(tokens * rows);
    add(`${rows}×${columns}, ${tokens} tokens`, out, (variant) => kernels.ternaryMatmul(matrix, inputs[variant]!.q, inputs[variant]!.scales, tokens, out));
  };
  product(1000, 512, 1);
  product(2049, 260, 1);
  product(520, 1000, 2);
  product(96, 700, 8);
  product(70, 300, 33);

  const [width, tokens] = [301, 70];
  const n = width * tokens;
  const xs = Array.from({ length: VARIANTS }, () => floats(2 * n));
  const [y, weight, bound, out, q, scales] = [floats(n), floats(width), floats(width), arena.f32(n), arena.i8(n), arena.f32(tokens)];
  const [start, state, sum] = [floats(width), arena.f32(width), arena.f32(n)];
  bound.forEach((value, i) => { bound[i] = Math.abs(value) % 1; });
  add('rmsNorm', out, (variant) => kernels.rmsNorm(xs[variant]!, weight, 1e-6, tokens, out));
  add('rmsNormQuantize', q, (variant) => kernels.rmsNormQuantize(xs[variant]!, weight, 1e-6, tokens, q, scales));
  add('gatedRmsNorm', out, (variant) => kernels.gatedRmsNorm(xs[variant]!, weight, 1e-6, y, tokens, out));
  add('swiglu', out, (variant) => kernels.swiglu(xs[variant]!, width, tokens, out));
  add('mlgruRecurrence', out, (variant) => {
    state.set(start);
    kernels.mlgruRecurrence(xs[variant]!, y, variant === 1 ? undefined : bound, state, tokens, out);
  });
  add('add', sum, (variant) => {
    sum.set(y);
    kernels.add(sum, xs[variant]!, n);
  }, false);
  return jobs;
}

export const JOBS_ARENA_BYTES = 16 * 2 ** 20;
