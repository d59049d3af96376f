import { show, SourceError } from './errors.js';
import type { ByteSource, FileSet } from './formats/bytes.js';
import { checkRange } from './formats/bytes.js';

/*
 * The one place that touches Node. It asks the running engine for its built-in modules (`process.getBuiltinModule`, Node 20.16
 * and later; Deno and Bun have it too), so that nothing here is an import that a browser or a bundler would trip over.
 */

export type FileSystem = typeof import('node:fs/promises');

export interface NodeModules {
  readonly fs: FileSystem;
  readonly path: typeof import('node:path');
  readonly url: typeof import('node:url');
  readonly os: typeof import('node:os');
  readonly crypto: typeof import('node:crypto');
}

/** Node's modules, or undefined in a browser. @throws SourceError for a Node that is too old to hand them out. */
export function nodeModules(): NodeModules | undefined {
  const host = globalThis.process as NodeJS.Process | undefined;
  const get = host?.getBuiltinModule as NodeJS.Process['getBuiltinModule'] | undefined;
  if (!get) {
    if (host?.versions?.node) throw new SourceError(`Node ${host.versions.node} is too old to read files here: 20.16 or later is needed`);
    return undefined;
  }
  return {
    fs: get('node:fs/promises'), path: get('node:path'), url: get('node:url'), os: get('node:os'), crypto: get('node:crypto'),
  };
}

/** A variable of the environment, unless it is empty. */
export function environment(name: string): string | undefined {
  return (globalThis.process as NodeJS.Process | undefined)?.env?.[name]?.trim() || undefined;
}

/** Logical processors that this process may use. */
export function processors(): number {
  const os = (globalThis.process as NodeJS.Process | undefined)?.getBuiltinModule?.('node:os');
  return os?.availableParallelism() ?? globalThis.navigator?.hardwareConcurrency ?? 1;
}

/** A worker thread that runs one function of a WebAssembly module. */
export interface Thread {
  /** Hands over the work. Called once. */
  post(work: ThreadWork): void;
  /** Ends it at once. */
  end(): void;
}

/** What a thread does: it makes an instance of `module` on `memory` and calls its export `worker(thread, spins)`. */
export interface ThreadWork {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  readonly thread: number;
  readonly spins: number;
}

/** The program of a thread: the same in Node's worker threads and in Web Workers. */
const THREAD_PROGRAM = `
const node = globalThis.process?.getBuiltinModule?.('node:worker_threads');
const port = node?.parentPort ?? globalThis;
const receive = (data) => {
  const { module, memory, thread, spins } = data;
  new WebAssembly.Instance(module, { env: { memory } }).exports.worker(thread, spins);
  port.close();
};
if (node) port.once('message', receive);
else port.onmessage = (event) => receive(event.data);
port.postMessage('ready');
`;

/**
 * Starts a thread. It does not keep a Node process alive.
 * @param onEnd called when it ends by itself or fails, with the reason.
 * @returns undefined where there are no workers, or no shared memory for them.
 */
export async function spawnThread(onEnd: (reason: string) => void): Promise<Thread | undefined> {
  if (typeof SharedArrayBuffer === 'undefined') return undefined;
  const node = (globalThis.process as NodeJS.Process | undefined)?.getBuiltinModule?.('node:worker_threads');
  try {
    return node ? await spawnNodeThread(node, onEnd) : await spawnWebThread(onEnd);
  } catch {
    return undefined;
  }
}

async function spawnNodeThread(
  { Worker }: typeof import('node:worker_threads'), onEnd: (reason: string) => void,
): Promise<Thread> {
  // Options of the program, such as loaders, would only slow the start. The heap stays almost empty.
  const worker = new Worker(THREAD_PROGRAM, {
    eval: true, execArgv: [], resourceLimits: { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 4 },
  });
  let reason = 'it was terminated';
  worker.on('error', (error) => { reason = error.message; });
  worker.on('exit', () => onEnd(reason));
  await new Promise<void>((resolve, reject) => {
    worker.once('message', () => resolve());
    worker.once('exit', () => reject(new Error(reason)));
  });
  worker.unref();
  return { post: (work) => worker.postMessage(work), end: () => void worker.terminate() };
}

async function spawnWebThread(onEnd: (reason: string) => void): Promise<Thread> {
  const url = URL.createObjectURL(new Blob([THREAD_PROGRAM], { type: 'text/javascript' }));
  try {
    const worker = new Worker(url);
    await new Promise<void>((resolve, reject) => {
      worker.onmessage = () => resolve();
      worker.onerror = (event) => reject(new Error(event.message));
    });
    worker.onerror = (event) => onEnd(event.message);
    return { post: (work) => worker.postMessage(work), end: () => worker.terminate() };
  } finally {
    URL.revokeObjectURL(url);
  }
}

/**
 * Opens a folder, or a single file, on disk. Links are followed wherever they lead, as in Hugging Face's cache, whose folders hold
 * links to files elsewhere: whoever made the folder made them. What other files name is looked up by plain names only.
 * @param location a path, or a `file:` URL.
 * @throws SourceError when there is no file system here, or nothing at that path.
 */
export async function filesFromDisk(location: string): Promise<FileSet> {
  const host = nodeModules();
  if (!host) {
    throw new SourceError(`${show(location)}: there is no file system here; load a File, a Blob or bytes instead`);
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
