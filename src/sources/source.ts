import { ArgumentError, show } from '../errors.js';
import { filesFromMemory, isContent, type FileContent, type FileSet } from '../formats/bytes.js';
import type { RemoteOptions } from './hub/remote.js';

/**
 * Where a model comes from: the path or `file:` URL of a folder or a .gguf file; `hf:owner/name[@revision][/file.gguf]` for a
 * model on the Hugging Face Hub; the http(s) URL of a .gguf file or of a folder; a File or Blob, or several Files; bytes of a .gguf
 * file; or files in memory by name.
 */
export type ModelSource =
  | string
  | URL
  | FileContent
  | readonly File[]
  | ReadonlyMap<string, FileContent>
  | { readonly [file: string]: FileContent };

/** What everything takes that opens a model: `RemoteOptions`. */
export const SOURCE_OPTIONS = ['onProgress', 'signal', 'token', 'cache'];
/** And what `load` takes. */
export const LOAD_OPTIONS = ['backend', 'threads', ...SOURCE_OPTIONS];

/** @param what the caller's function, for messages. @throws SourceError, ArgumentError when `source` is none of these. */
export async function openSource(source: ModelSource, options: RemoteOptions = {}, what = 'load'): Promise<FileSet> {
  if (typeof source === 'string' || source instanceof URL) return openLocation(String(source), options, what);
  if (isContent(source)) {
    const name = source instanceof File ? source.name : 'model.gguf';
    return filesFromMemory(name, new Map([[name, source]]));
  }
  if (Array.isArray(source)) {
    const files = source as readonly unknown[];
    if (!files.every((file): file is File => file instanceof File)) throw new ArgumentError(`${what}: the list holds something that is not a File`);
    return filesFromMemory('(files)', new Map(files.map((file) => [file.name, file])));
  }
  if (typeof source === 'object' && source !== null) {
    const files = source instanceof Map ? (source as ReadonlyMap<string, FileContent>) : new Map(Object.entries(source));
    const bad = [...files].find(([, content]) => !isContent(content));
    if (!bad) return filesFromMemory('(files in memory)', files);
    throw new ArgumentError(`${what}: ${show(bad[0])} is not a Uint8Array, an ArrayBuffer or a Blob`);
  }
  throw new ArgumentError(`${what}: got ${show(source)}; give a path, a URL, hf:owner/name, a File or Blob, bytes, or files by name`);
}

async function openLocation(location: string, options: RemoteOptions, what: string): Promise<FileSet> {
  if (location === '') throw new ArgumentError(`${what}: the path is empty`);
  // A bundler puts these apart: pages that bring their own files need none of it.
  if (!/^(https?|hf):/i.test(location)) return (await import('../platform/disk.js')).filesFromDisk(location);
  const { openRemote } = await import('./hub/remote.js');
  return openRemote(location, options);
}
