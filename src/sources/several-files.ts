import { ArgumentError, show } from '../errors.js';
import { filesFromMemory, isContent, type FileContent, type FileSet } from '../formats/bytes.js';

/** A list of Files, or files by name. @throws ArgumentError for what is neither: it says what to give instead, where that can be told. */
export function filesByName(source: unknown, what: string): FileSet {
  if (typeof source !== 'object' || source === null || ArrayBuffer.isView(source)) throw refused(source, what);
  if (Symbol.iterator in source && !(source instanceof Map)) {
    const files = [...(source as Iterable<unknown>)];
    if (!files.every((file): file is File => file instanceof File)) throw new ArgumentError(`${what}: the list holds something that is not a File`);
    return filesFromMemory('(files)', new Map(files.map((file) => [file.name, file])));
  }
  const files = source instanceof Map ? (source as ReadonlyMap<string, unknown>) : new Map<string, unknown>(Object.entries(source));
  const isOfAClass = !(source instanceof Map) && ![Object.prototype, null].includes(Object.getPrototypeOf(source) as object | null);
  if (isOfAClass && files.size === 0) throw refused(source, what);
  const bad = [...files].find(([, content]) => !isContent(content));
  if (bad) throw isOfAClass ? refused(source, what) : new ArgumentError(`${what}: ${show(bad[0])} is not a Uint8Array, an ArrayBuffer or a Blob`);
  return filesFromMemory('(files in memory)', files as ReadonlyMap<string, FileContent>);
}

/** What is given in place of what, by the name of its class. */
const INSTEAD: Readonly<Record<string, string>> = {
  Promise: 'write await before it',
  Request: 'give its url, or what fetch gives for it',
  ReadableStream: 'give new Response(stream)',
  FileSystemFileHandle: 'give await handle.getFile()',
  FileSystemDirectoryHandle: 'give the Files in it',
  DataView: 'give a Uint8Array',
};

function refused(source: unknown, what: string): ArgumentError {
  const name = typeof source === 'object' ? /\[object (\w+)/.exec(Object.prototype.toString.call(source))?.[1] : undefined;
  const instead = name === undefined ? undefined : INSTEAD[name] ?? (ArrayBuffer.isView(source) ? 'give a Uint8Array' : undefined);
  if (instead !== undefined) return new ArgumentError(`${what}: got a ${name}; ${instead}`);
  return new ArgumentError(`${what}: got ${show(source)}; give a path, a URL, hf:owner/name, a File or Blob, a Response, bytes, or files by name`);
}
