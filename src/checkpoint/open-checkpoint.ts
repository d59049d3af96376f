import { missingPart, SourceError } from '../errors.js';
import type { Family } from '../architectures/family.js';
import type { FileSet } from '../formats/bytes.js';
import { ggufModels } from '../formats/gguf-model.js';
import type { I2SLayout } from '../formats/group-blocks.js';
import { isGguf } from '../formats/gguf-reader.js';
import { openGguf } from '../formats/open-gguf.js';
import { refuseLfsPointer } from '../formats/lfs.js';
import { isWeightsFile } from '../formats/weights-files.js';
import type { Checkpoint } from './checkpoint.js';
import { openGgufCheckpoint } from './gguf-checkpoint.js';

/**
 * Opens the checkpoint in `files`: a GGUF model, in one file or in parts, or a folder in Hugging Face layout.
 * @param families of the caller's own.
 * @param i2sLayout of weights in I2_S, where a GGUF file has such; default A.
 * @throws SourceError when there is no model; FormatError, ConfigError when it cannot be run.
 */
export async function openCheckpoint(files: FileSet, families?: readonly Family[], i2sLayout?: I2SLayout): Promise<Checkpoint> {
  const names = await files.list();
  const ggufs = ggufModels(names);
  const gguf = await findGguf(files, names);
  if (gguf !== undefined) return openGgufCheckpoint(await openGguf(files, gguf), families, i2sLayout);
  if (names.includes('config.json')) return (await import('./folder-checkpoint.js').catch(missingPart)).openFolderCheckpoint(files, families); // not in a page's first chunk
  const [only] = names;
  if (only !== undefined && names.length === 1) {
    throw new SourceError(`${files.name}: holds no model: ${only} is not a GGUF file; a checkpoint in several files is loaded by its folder`);
  }
  const found = names.length === 0 ? 'it is empty' : `found: ${names.slice(0, 8).join(', ')}`;
  const several = ggufs.length > 1 ? '; name one of its .gguf models' : '';
  throw new SourceError(`${files.name}: holds no model: neither config.json nor one .gguf file (${found})${several}`);
}

/** The file to open as GGUF, unless `files` are a checkpoint of another kind. */
export async function findGguf(files: FileSet, names: readonly string[]): Promise<string | undefined> {
  const ggufs = ggufModels(names);
  // Some folders hold a GGUF file beside the configuration and tokenizer it was made from.
  if (names.includes('config.json') && (names.some(isWeightsFile) || ggufs.length !== 1)) return undefined;
  if (ggufs.length === 1) return ggufs[0];
  const source = names.length === 1 ? await files.open(names[0]!) : undefined;
  if (!source) return undefined;
  try {
    await refuseLfsPointer(source);
    return (await isGguf(source)) ? source.name : undefined;
  } finally {
    await source.close();
  }
}
