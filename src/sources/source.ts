import { missingPart } from '../errors.js';
import { filesFromMemory, isContent, type FileContent, type FileSet } from '../formats/bytes.js';
import type { RemoteOptions } from './hub/remote.js';

/**
 * Where a model comes from: the path or `file:` URL of a folder or a .gguf file; `hf:owner/name[@revision][/file.gguf]` for a
 * model on the Hugging Face Hub; the http(s) URL of a .gguf file or of a folder, in a browser relative to the page; what `fetch` gave for a
 * .gguf file; a File or Blob, or several Files; bytes of a .gguf file; or files in memory by name.
 */
export type ModelSource =
  | string
  | URL
  | Response
  | FileContent
  | Iterable<File>
  | ReadonlyMap<string, FileContent>
  | { readonly [file: string]: FileContent };

/** What everything takes that opens a model: `RemoteOptions`. */
export const SOURCE_OPTIONS = ['onProgress', 'signal', 'token', 'cache'];

/** @param what the caller's function, for messages. @throws SourceError, ArgumentError when `source` is none of these. */
export async function openSource(source: ModelSource, options: RemoteOptions = {}, what = 'load'): Promise<FileSet> {
  // A bundler puts these apart: pages that bring their own files need none of it.
  if (typeof source === 'string' || source instanceof URL) return (await import('./location.js').catch(missingPart)).openLocation(String(source), options, what);
  if (isContent(source)) {
    const name = source instanceof File ? source.name : 'model.gguf';
    return filesFromMemory(name, new Map([[name, source]]));
  }
  if (isResponse(source)) return (await import('./hub/response.js').catch(missingPart)).filesFromResponse(source, options, what);
  return (await import('./several-files.js').catch(missingPart)).filesByName(source, what);
}

/** Of this engine, or of a library like it. */
export function isResponse(source: unknown): source is Response {
  return typeof (source as Response | null)?.ok === 'boolean';
}
