import { createHash } from 'node:crypto';
import { readdir, readFile, readlink, rm, stat } from 'node:fs/promises';
import { hostname, uptime } from 'node:os';
import { basename, dirname, join } from 'node:path';

/*
 * What is written under another name until it is whole: NAME.HHHHHHBBBBBB-PID-START.partial. H stands for the machine, B for its start and
 * the container (what sees the same processes), START for when the process began: a number that is given again is another process.
 */

interface Owner {
  readonly host: string;
  readonly boot: string;
  readonly pid: number;
  /** '' where systems do not tell. */
  readonly start: string;
}

const PARTIAL = /\.([0-9a-f]{6})([0-9a-f]{6})-(\d+)-(\d*)\.partial$/;
/** Clocks of machines that share a disk differ. */
const CLOCKS_MS = 600_000;

/** Where this process may write what is to be at `path`. */
export async function partialPath(path: string): Promise<string> {
  const { host, boot, pid, start } = await thisProcess();
  return `${path}.${host}${boot}-${pid}-${start}.partial`;
}

/** What is to be at a path that `partialPath` gave. */
export function targetOf(path: string): string {
  return path.replace(PARTIAL, '');
}

/** Removes what processes that are gone have left beside `path`; what one of another machine may still be writing stays. */
export async function removeLeftovers(path: string): Promise<void> {
  const folder = dirname(path);
  const here = await thisProcess();
  for (const name of await readdir(folder).catch(() => [])) {
    const [, host, boot, pid, start] = PARTIAL.exec(basename(name)) ?? [];
    if (host === undefined) continue;
    const isLeft = await isGone({ host, boot: boot!, pid: Number(pid), start: start! }, here, join(folder, name));
    if (isLeft) await rm(join(folder, name), { recursive: true, force: true }).catch(() => undefined); // it may be somebody else's
  }
}

async function isGone(owner: Owner, here: Owner, file: string): Promise<boolean> {
  if (owner.host !== here.host) return false;
  if (owner.boot === here.boot) {
    const start = await startOf(owner.pid);
    return start === undefined || (start !== '' && owner.start !== '' && start !== owner.start);
  }
  // Another container, or this machine before it was started again.
  const { mtimeMs = Infinity } = (await stat(file).catch(() => undefined)) ?? {};
  return mtimeMs < Date.now() - uptime() * 1000 - CLOCKS_MS;
}

async function thisProcess(): Promise<Owner> {
  const [id, space] = await Promise.all([readFile('/proc/sys/kernel/random/boot_id', 'utf8'), readlink('/proc/self/ns/pid')].map((asked) => asked.catch(() => '')));
  const short = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 6);
  return { host: short(hostname()), boot: short(`${id}${space}`), pid: process.pid, start: (await startOf(process.pid)) ?? '' };
}

/** When a process began, as Linux counts it; '' where that is not told; undefined when it is no more. */
async function startOf(pid: number): Promise<string | undefined> {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EPERM')) return undefined;
  }
  // proc_pid_stat(5): the name, in brackets, may hold anything; behind it the state, and 19 fields on the start.
  const fields = (await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')).replace(/^[^]*\) /, '').split(' ');
  return /^[ZX]/.test(fields[0]!) ? undefined : (fields[19] ?? '');
}
