import { SourceError } from '../../errors.js';
import { describe, isNotFound, openFile, unlessGone } from '../../platform/disk.js';
import type { FileSystem, NodeModules } from '../../platform/node.js';
import { sleep } from './http.js';
import type { Key } from './names.js';
import type { PartialFile, Span, Store } from './store.js';

type FileHandle = Awaited<ReturnType<FileSystem['open']>>;

/** Another process's turn is looked at so often. */
const POLL_MS = 100;
/** A turn that nobody renewed for so long is nobody's. */
const STALE_MS = 30_000;
const RENEW_MS = 5_000;
/** State files of ours; a hostile one must not fill the memory. */
const MAX_TEXT_BYTES = 64 * 1024 * 1024;

/*
 * In a file's folder, while it is fetched:
 *   .NAME.ID.part   its bytes, each at its place
 *   .NAME.ID.log    which of them are there for good: lines "from-to", each added when its bytes are on the disk. One that a crash cut
 *                   short is passed over, or means fewer bytes with the next one added to it. A log never outlives its .part: it goes
 *                   before that does, and when there is none.
 *   .NAME.lock      whose turn it is
 * ID stands for the content (its checksum or ETag), so two processes with the same .part write the same bytes to the same places:
 * should both take a turn, as after the machine's sleep, no harm is done. Neither cuts short what the other may have given its
 * name, and neither names, or notes in the log, what is not its own. Names of models' files never begin with a dot.
 */

/** Files in the folder `root`, each in its place under its own name: fit to be loaded, or copied, from there. */
export function diskStore(node: NodeModules, root: string): Store {
  const { fs, path, os } = node;
  const failed = (error: unknown, doing: string): SourceError => {
    return new SourceError(`cannot ${doing} the cache ${root}: ${describe(error)}; set MATMULFREE_CACHE, or the option cache, to another folder, or that option to false`);
  };
  const writing = <T>(action: () => Promise<T>): Promise<T> => action().catch((error: unknown) => { throw failed(error, 'write to'); });
  const reading = <T>(action: () => Promise<T>): Promise<T> => action().catch((error: unknown) => { throw failed(error, 'read'); });

  /** The path of `key`, if it leads to a place inside the cache: links out of it are not followed. */
  const inside = async (key: Key): Promise<string | undefined> => {
    try {
      const real = await fs.realpath(path.join(root, ...key));
      const relative = path.relative(await fs.realpath(root), real);
      return relative.startsWith('..') || path.isAbsolute(relative) ? undefined : real;
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw failed(error, 'read');
    }
  };
  const folderFor = (key: Key): Promise<string> => writing(async () => {
    await fs.mkdir(path.join(root, ...key.slice(0, -1)), { recursive: true });
    const folder = await inside(key.slice(0, -1));
    if (folder === undefined) throw new Error(`${key.slice(0, -1).join('/')} is a link that leads out of it`);
    return folder;
  });

  return {
    async open(key) {
      const file = await inside(key);
      return file === undefined ? undefined : openFile(fs, file, key.at(-1)!);
    },

    async readText(key) {
      const file = await inside(key);
      return file === undefined ? undefined : reading(() => readSmall(node, file));
    },

    async writeText(key, text) {
      const folder = await folderFor(key);
      const partial = path.join(folder, `.${key.at(-1)!}.${node.crypto.randomUUID()}.part`);
      await writing(async () => {
        await fs.writeFile(partial, text, { flag: 'wx' });
        await fs.rename(partial, path.join(folder, key.at(-1)!));
      }).finally(() => fs.rm(partial, { force: true }));
    },

    async lock(key, id, signal, onWait) {
      const folder = await folderFor(key);
      const file = path.join(folder, `.${key.at(-1)!}.lock`);
      const turn = `${process.pid} ${os.hostname()} ${node.crypto.randomUUID()}`;
      while (!(await writing(() => create(node, file, turn)))) {
        if (await reading(() => isLockHeld(node, file))) {
          onWait(bytesIn(parseLog(await reading(() => readSmall(node, path.join(folder, `.${key.at(-1)!}.${id}.log`))))));
          await sleep(POLL_MS, signal);
        } else {
          // Renamed first: of several that find it abandoned, one succeeds.
          const away = `${file}.${node.crypto.randomUUID()}`;
          await writing(() => unlessGone(fs.rename(file, away)));
          await fs.rm(away, { force: true });
        }
      }
      const renewal = setInterval(() => void fs.utimes(file, new Date(), new Date()).catch(() => undefined), RENEW_MS);
      renewal.unref();
      return async () => {
        clearInterval(renewal);
        // Somebody may have taken it for abandoned.
        if ((await readSmall(node, file).catch(() => undefined)) === turn) await fs.rm(file, { force: true }).catch(() => undefined);
      };
    },

    async partial(key, id) {
      const folder = await folderFor(key);
      return writing(() => diskPartial(node, folder, key.at(-1)!, id ?? node.crypto.randomUUID(), id !== undefined, writing));
    },
  };
}

async function diskPartial(
  node: NodeModules, folder: string, name: string, id: string, isResumable: boolean, writing: <T>(action: () => Promise<T>) => Promise<T>,
): Promise<PartialFile> {
  const { fs, path } = node;
  const file = path.join(folder, `.${name}.${id}.part`);
  const log = path.join(folder, `.${name}.${id}.log`);
  for (const other of await fs.readdir(folder)) {
    const isOld = other.startsWith(`.${name}.`) && /^[\w-]+\.(part|log)$/.test(other.slice(name.length + 2));
    const isOurs = isResumable && other.startsWith(`.${name}.${id}.`);
    if (isOld && !isOurs) await fs.rm(path.join(folder, other), { force: true });
  }
  const { O_RDWR, O_WRONLY, O_APPEND, O_CREAT, O_NOFOLLOW = 0 } = fs.constants;
  const openPart = (): Promise<FileHandle> => fs.open(file, O_RDWR | O_CREAT | O_NOFOLLOW, 0o666);
  const forget = async (): Promise<void> => {
    await fs.rm(log, { force: true });
    await syncFolder(fs, folder);
  };
  let spans = merge(parseLog(await readSmall(node, log)));
  const { size = 0 } = (await unlessGone(fs.lstat(file))) ?? {};
  if ((spans.at(-1)?.[1] ?? 0) > size) {
    await forget(); // it is not of this file: what is written now, at any place, must not make it true
    spans = [];
  }
  let handle = await openPart();
  let isWorthKeeping = spans.length > 0;
  /** Whether the .part is still what we write to: another process whose turn it is, too, may have named it, or begun anew. */
  const isOurs = async (): Promise<boolean> => (await unlessGone(fs.stat(file)))?.ino === (await handle.stat()).ino;
  return {
    spans,
    write: (_from, at, bytes) => writing(async () => {
      for (let done = 0; done < bytes.length; ) {
        done += (await handle.write(bytes, done, bytes.length - done, at + done)).bytesWritten;
      }
    }),
    keep: ([from, to]) => writing(async () => {
      if (!isResumable || !(await isOurs())) return;
      isWorthKeeping = true;
      await handle.datasync();
      await fs.appendFile(log, `${from}-${to}\n`, { flag: O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW });
    }),
    async contents(as) {
      const source = await openFile(fs, file, as);
      if (!source) throw new SourceError(`${file}: somebody removed it`);
      return source;
    },
    seal: (length) => writing(async () => {
      await handle.truncate(length);
      await handle.sync();
      try {
        if (!(await isOurs())) throw new Error(`another process began anew with ${name}`);
        await handle.close();
        await fs.rename(file, path.join(folder, name));
      } catch (error) {
        // Another process was quicker with the same bytes; some systems do not replace a file that is being read.
        if (!(await unlessGone(fs.stat(path.join(folder, name))))) throw error;
        await fs.rm(file, { force: true });
      }
      await fs.rm(log, { force: true });
    }),
    reset: () => writing(async () => {
      isWorthKeeping = false;
      await forget();
      await handle.close();
      await fs.rm(file, { force: true });
      handle = await openPart();
    }),
    async close() {
      await handle.close();
      if (!isWorthKeeping) await fs.rm(file, { force: true });
    },
  };
}

/** Puts what was removed from a folder, or named in it, on the disk; not every system can. */
async function syncFolder(fs: FileSystem, folder: string): Promise<void> {
  const handle = await fs.open(folder, 'r').catch(() => undefined);
  await handle?.sync().catch(() => undefined);
  await handle?.close();
}

/** @returns false when the file is there already. */
async function create({ fs }: NodeModules, file: string, text: string): Promise<boolean> {
  try {
    await fs.writeFile(file, text, { flag: 'wx' });
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
    throw error;
  }
}

/** Whether somebody is at work who holds the lock: a process of this machine that lives, or one that renewed it lately. */
export async function isLockHeld({ fs, os }: NodeModules, file: string): Promise<boolean> {
  const stat = await unlessGone(fs.stat(file));
  const text = await unlessGone(fs.readFile(file, 'utf8'));
  if (!stat || text === undefined || Date.now() - stat.mtimeMs > STALE_MS) return false;
  const [pid = '', host] = text.split(' ');
  return host !== os.hostname() || isAlive(Number(pid));
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}

async function readSmall({ fs }: NodeModules, file: string): Promise<string | undefined> {
  const { size = Infinity } = (await unlessGone(fs.stat(file))) ?? {};
  return size > MAX_TEXT_BYTES ? undefined : unlessGone(fs.readFile(file, 'utf8'));
}

/** A line that a crash cut short is passed over. */
function parseLog(text: string | undefined): Span[] {
  return [...(text ?? '').matchAll(/^(\d{1,15})-(\d{1,15})\n/gm)].map(([, from, to]): Span => [Number(from), Number(to)]).filter(([from, to]) => from < to);
}

/** In order, without overlaps. */
function merge(spans: readonly Span[]): Span[] {
  const merged: [number, number][] = [];
  for (const [from, to] of [...spans].sort((a, b) => a[0] - b[0])) {
    const last = merged.at(-1);
    if (last && from <= last[1]) last[1] = Math.max(last[1], to);
    else merged.push([from, to]);
  }
  return merged;
}

function bytesIn(spans: readonly Span[]): number {
  return merge(spans).reduce((sum, [from, to]) => sum + to - from, 0);
}
