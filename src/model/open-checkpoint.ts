import { FormatError, SourceError } from '../errors.js';
import type { ByteSource, FileSet } from '../formats/bytes.js';
import { isGguf } from '../formats/gguf-reader.js';
import { isWeightsFile } from '../formats/shards.js';
import type { Checkpoint } from './checkpoint.js';
import { openFolderCheckpoint } from './folder-checkpoint.js';
import { openGgufCheckpoint } from './gguf-checkpoint.js';

/**
 * Opens the checkpoint in `files`: a GGUF file, or a folder in Hugging Face layout.
 * @throws SourceError when there is no model; FormatError, ConfigError when it cannot be run.
 */
export async function openCheckpoint(files: FileSet): Promise<Checkpoint> {
  const names = await files.list();
  const ggufs = names.filter((name) => name.toLowerCase().endsWith('.gguf'));
  const hasConfig = names.includes('config.json');
  // Some folders hold a GGUF file beside the configuration and tokenizer it was made from.
  if (hasConfig && (names.some(isWeightsFile) || ggufs.length !== 1)) return openFolderCheckpoint(files);
  const only = ggufs.length === 1 ? ggufs[0] : names.length === 1 ? names[0] : undefined;
  const source = only === undefined ? undefined : await files.open(only);
  if (source) {
    return closeOnError(source, async () => {
      if (await isGguf(source)) return openGgufCheckpoint(source);
      if (ggufs.length === 1) throw new FormatError(`${only}: does not start with "GGUF"`);
      throw new SourceError(`${files.name}: holds no model: ${only} is not a GGUF file; a checkpoint in several files is loaded by its folder`);
    });
  }
  const found = names.length === 0 ? 'it is empty' : `found: ${names.slice(0, 8).join(', ')}`;
  const several = ggufs.length > 1 ? '; name one of its .gguf files' : '';
  throw new SourceError(`${files.name}: holds no model: neither config.json nor one .gguf file (${found})${several}`);
}

async function closeOnError<T>(source: ByteSource, open: () => Promise<T>): Promise<T> {
  try {
    return await open();
  } catch (error) {
    await source.close();
    throw error;
  }
}
