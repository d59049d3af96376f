import { ArgumentError } from '../errors.js';
import type { DeltaNetKernels } from '../kernels/delta-net.js';
import type { Kernels } from '../kernels/kernels.js';

/** Throws `ArgumentError` unless the kernels have those of gated delta nets. */
export function requireDeltaNet(what: string, kernels: Kernels): DeltaNetKernels {
  if (!kernels.transformer?.deltaNet) throw new ArgumentError(`${what} needs createKernels({ transformer: 'delta-net' })`);
  return kernels.transformer.deltaNet;
}
