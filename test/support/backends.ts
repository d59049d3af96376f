import { setFlagsFromString } from 'node:v8';
import { availableBackends, createKernels, type Arena, type BackendName, type Kernels } from 'matmulfree';
import { effort } from './effort.js';

// Node 20 has relaxed SIMD behind a flag, which later ones do not know.
if (process.versions.node.startsWith('20.')) setFlagsFromString('--experimental-wasm-relaxed-simd');

export interface Backend {
  readonly name: string;
  readonly backend: BackendName;
  readonly threads: number;
}

const available = await availableBackends();
const withThreads = (backend: BackendName, counts: readonly number[]): Backend[] =>
  available.includes(backend) ? counts.map((threads) => ({ name: `${backend}, ${threads} threads`, backend, threads })) : [];

/** Every backend that this engine has, with one to four threads. */
export const BACKENDS: readonly Backend[] = [
  { name: 'scalar', backend: 'scalar', threads: 1 }, ...withThreads('simd', [1, 2, 3, 4]), ...withThreads('relaxed', [1, 4]),
  ...withThreads('dot', [1, 3]),
];

/** A few of them, for tests that take longer. */
export const SOME_BACKENDS: readonly Backend[] = [
  BACKENDS[0]!, ...withThreads('simd', effort([3], [1, 3])), ...withThreads('relaxed', effort([1], [1, 4])), ...withThreads('dot', effort([1], [1, 3])),
];

/** The fastest without threads, for references that others are compared with: all have the same bits. */
export const FASTEST: Backend = SOME_BACKENDS.find(({ backend, threads }) => threads === 1 && backend === available.at(-1))!;

/** Kernels with an arena that is large enough for whatever a test puts there. Pages that nobody touches cost nothing. */
export async function kernelsWithArena({ backend, threads }: Backend): Promise<{ kernels: Kernels; arena: Arena }> {
  const kernels = await createKernels({ backend, threads });
  return { kernels, arena: kernels.createArena(512 * 2 ** 20) };
}

export function floatsIn(arena: Arena, values: ArrayLike<number>): Float32Array {
  const array = arena.f32(values.length);
  array.set(values);
  return array;
}
