import { show, SourceError } from '../errors.js';
import { checkRange, type ByteSource, type FileSet } from '../formats/bytes.js';
import { nodeModules, type FileSystem } from './node.js';

/**
 * Opens a folder, or a single file, on disk. Links are followed wherever they lead, as in Hugging Face's cache, whose folders hold
 * links to files elsewhere: whoever made the folder made them. What other files name is looked up by plain names only.
 * @param location a path, or a `file:` URL.
 * @throws SourceError when there is no file system here, or nothing at that path.
 */
export async function filesFromDisk(location: string): Promise<FileSet> {
  const host = nodeModules();
  if (!host) {
    throw new SourceError(`${show(location)}: there is no file system here; load an http(s) URL, a File, a Blob or bytes instead`);
  }
  const { fs, path, url } = host;
  let target = location;
  let isFolder: boolean;
  try {
    if (location.startsWith('file:')) target = url.fileURLToPath(location);
    isFolder = (await fs.stat(target)).isDirectory();
  } catch (error) {
    throw new SourceError(`${target}: ${isNotFound(error) ? 'no such file or folder' : describe(error)}`);
  }
  const folder = isFolder ? target : path.dirname(target);
  const list = isFolder ? async () => (await fs.readdir(target)).sort() : async () => [path.basename(target)];
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
    throw new SourceError(`${file}: ${describe(error)}`);
  }
  const { size } = await handle.stat();
  const readInto = async (offset: number, into: Uint8Array): Promise<void> => {
    checkRange(name, size, offset, into.length);
    // One read call returns at most 2 GiB, and may return less than asked.
    for (let done = 0; done < into.length; ) {
      const { bytesRead } = await handle.read(into, done, Math.min(into.length - done, 2 ** 30), offset + done);
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

export function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
