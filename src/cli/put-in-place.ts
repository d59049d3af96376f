import { mkdir, open, rename, rm, stat, type FileHandle } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { SourceError, type FilePart } from '../index.js';
import { partialPath, removeLeftovers } from './leftovers.js';
import { describeFileError } from './terminal.js';

/** Of a file, in pieces. */
export async function* asParts(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<FilePart, void, undefined> {
  for await (const bytes of chunks) yield { file: '', bytes };
}

/**
 * Writes a file (all parts have the name '') or the files of a folder beside their name, and moves them into place when they are
 * whole and `check` has nothing against them: a file that was there stays good until then.
 */
export async function putInPlace(
  out: string, kind: 'file' | 'folder', parts: AsyncIterable<FilePart> | Iterable<FilePart>, check: (path: string) => Promise<void> = async () => {},
): Promise<number> {
  const path = resolve(out); // without a slash at its end
  const partial = await partialPath(path);
  const writing = <T>(action: Promise<T>): Promise<T> => action.catch((error: unknown) => { throw cannotWrite(out, error); });
  // Before the source is read, which may take long.
  if (kind === 'file' && (await stat(path).catch(() => undefined))?.isDirectory()) throw cannotWrite(out, 'is a folder');
  await removeLeftovers(path);
  try {
    let opened = kind === 'file' ? { file: '', handle: await writing(open(partial, 'wx')) } : undefined;
    if (kind === 'folder') await writing(mkdir(partial));
    let bytes = 0;
    try {
      for await (const part of parts) {
        if (opened?.file !== part.file) {
          if (opened) await finish(opened.handle, writing);
          opened = { file: part.file, handle: await writing(open(join(partial, part.file), 'wx')) };
        }
        await writing(opened.handle.writeFile(part.bytes));
        bytes += part.bytes.length;
      }
      if (opened) await finish(opened.handle, writing);
    } catch (error) {
      await opened?.handle.close().catch(() => undefined);
      throw error;
    }
    await check(partial);
    await writing(rename(partial, path));
    return bytes;
  } catch (error) {
    await rm(partial, { force: true, recursive: true }).catch(() => undefined); // what went wrong first is told
    throw error;
  }
}

async function finish(handle: FileHandle, writing: <T>(action: Promise<T>) => Promise<T>): Promise<void> {
  await writing(handle.sync());
  await handle.close();
}

export function cannotWrite(path: string, why: unknown): SourceError {
  return new SourceError(`cannot write ${path}: ${describeFileError(why)}`);
}
