import { missingPart } from '../../errors.js';
import type { KernelSet } from '../kernels.js';
import { createScalarTransformer } from './transformer.js';

/** The definition of as many kernels of Transformers as are wanted. */
export async function scalarTransformer(wanted: KernelSet): Promise<typeof createScalarTransformer> {
  return wanted === 'delta-net' ? (await import('./delta-net-kernels.js').catch(missingPart)).createScalarDeltaNet : createScalarTransformer;
}
