import type { FileSet } from '../formats/bytes.js';
import { filesFromDisk } from '../platform/disk.js';

/** What may be meant for a model on the Hub. */
const HUB_NAME = /^\w[\w.-]*\/\w[\w.-]*(@[\w./-]+|\/[\w./-]+\.gguf)?$/;

/**
 * Opens a file or folder on disk.
 * @throws SourceError when there is nothing, with what may have been meant instead.
 */
export function openPath(path: string): Promise<FileSet> {
  return filesFromDisk(path, hintAt(path));
}

function hintAt(path: string): string {
  if (path.startsWith('matmulfree/')) return `; what this package has is found by import.meta.resolve('${path}')`;
  return HUB_NAME.test(path) && !/^[^/]+\/[^/]+\.gguf$/.test(path) ? `; a model on the Hugging Face Hub is written hf:${path}` : '';
}
