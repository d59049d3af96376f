import type { FloatKernelOptions } from '../../bench/baselines/create.js';
import { BACKENDS } from './backends.js';

/** Every way to compute the float baselines that this engine has. */
export const FLOAT_BACKENDS: readonly (FloatKernelOptions & { readonly name: string })[] = [
  { name: 'js', backend: 'js', threads: 1 },
  ...BACKENDS.flatMap(({ name, backend, threads }) => (backend === 'scalar' || backend === 'dot' || threads === 2 ? [] : [{ name, backend, threads }])),
];
