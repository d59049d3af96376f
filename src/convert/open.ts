import type { Checkpoint } from '../checkpoint/checkpoint.js';
import { openCheckpoint } from '../checkpoint/open-checkpoint.js';
import { ArgumentError, show } from '../errors.js';
import type { Progress } from '../model/load-model.js';
import { openSource, SOURCE_OPTIONS, type ModelSource } from '../sources/source.js';
import type { RemoteOptions } from '../sources/hub/remote.js';

/** Of what reads a model without loading it. */
export interface SourceOptions extends RemoteOptions {
  readonly onProgress?: ((progress: Progress) => void) | undefined;
  /** As for `MatMulFreeLM.load`. */
  readonly i2sLayout?: 'A' | 'B' | undefined;
}

/** The names of `SourceOptions`. */
export const READING_OPTIONS = [...SOURCE_OPTIONS, 'i2sLayout'];

/** @throws ArgumentError for an option; as `MatMulFreeLM.load` does. */
export async function openModel(what: string, source: ModelSource, options: SourceOptions): Promise<Checkpoint> {
  const { i2sLayout = 'A' } = options;
  if (i2sLayout !== 'A' && i2sLayout !== 'B') throw new ArgumentError(`${what}: option i2sLayout is ${show(i2sLayout)}, not "A" or "B"`);
  return openCheckpoint(await openSource(source, options, what), undefined, i2sLayout);
}
