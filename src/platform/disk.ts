import { SourceError } from '../errors.js';
import { checkRange, type ByteSource, type FileSet } from '../formats/bytes.js';
import { nodeModules, type FileSystem } from './node.js';

/**
 * Opens a folder, or a single file, on disk. Links are followed wherever they lead, as in Hugging Face's cache, whose folders hold
 * links to files elsewhere: whoever made the folder made them. What other files name is looked up by plain names only.
 * @param location a path, or a `file:` URL.
 * @param hint what is added to the message when there is nothing.
 * @throws SourceError when there is nothing at that path, or it cannot be read.
 */
export async function filesFromDisk(location: string, hint = ''): Promise<FileSet> {
  const { fs, path, url } = nodeModules()!;
  let target = location;
  let isFolder: boolean;
  try {
    if (location.startsWith('file:')) target = url.fileURLToPath(location);
    isFolder = (await fs.stat(target)).isDirectory();
  } catch (error) {
    throw new SourceError(`${target}: ${isNotFound(error) ? `no such file or folder${hint}` : describe(error)}`);
  }
  const folder = isFolder ? target : path.dirname(target);
  const list = async (): Promise<string[]> => {
    if (!isFolder) return [path.basename(target)];
    return (await fs.readdir(target).catch((error: unknown) => { throw unreadable(target, error); })).sort();
  };
  return { name: target, list, open: (file) => openFile(fs, path.join(folder, file), file) };
}

/**
 * Opens the file at path `file`, called `name` in messages; undefined when there is none.
 * @throws SourceError for what is not a file, or cannot be read.
 */
export async function openFile(fs: FileSystem, file: string, name: string): Promise<ByteSource | undefined> {
  let handle: Awaited<ReturnType<FileSystem['open']>>;
  try {
    // Looked at before it is opened: opening a pipe would wait for somebody to write into it.
    if (!(await fs.stat(file)).isFile()) throw new Error('is not a file');
    handle = await fs.open(file, 'r');
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw unreadable(file, error);
  }
  const { size } = await handle.stat().catch(async (error: unknown) => {
    await handle.close();
    throw unreadable(file, error);
  });
  const readInto = async (offset: number, into: Uint8Array): Promise<void> => {
    checkRange(name, size, offset, into.length);
    // One read call returns at most 2 GiB, and may return less than asked.
    for (let done = 0; done < into.length; ) {
      const { bytesRead } = await handle.read(into, done, Math.min(into.length - done, 2 ** 30), offset + done)
        .catch((error: unknown) => { throw unreadable(file, error); });
      if (bytesRead === 0) throw new SourceError(`${file}: shrank while it was being read`);
      done += bytesRead;
    }
  };
  return {
    name,
    size,
    async read(offset, length) {
      checkRange(name, size, offset, length); // before memory is taken
      const bytes = new Uint8Array(length);
      await readInto(offset, bytes);
      return bytes;
    },
    readInto,
    close: () => handle.close(),
  };
}

function unreadable(file: string, error: unknown): SourceError {
  return new SourceError(`${file}: ${describe(error)}`);
}

export function isNotFound(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR');
}

/** What `action` gives; undefined when the file is not, or no longer, there. */
export async function unlessGone<T>(action: Promise<T>): Promise<T | undefined> {
  try {
    return await action;
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

/** Node's complaint without its own call and the path, which the message names already. */
export function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return 'code' in error ? error.message.replace(/, \w+( '[^]*)?$/, '') : error.message;
}
