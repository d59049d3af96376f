import { spawn, spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir, uptime } from 'node:os';
import { basename, join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { partialPath, removeLeftovers } from '../../src/cli/leftovers.js';
import { EMBEDDED } from '../support/files.js';
import { runScript } from '../support/run.js';

let folder: string;
beforeEach(async () => { folder = await mkdtemp(join(tmpdir(), 'matmulfree-leftovers-')); });
afterEach(() => rm(folder, { recursive: true }));

/** The name that a process gives to what it writes; `change` makes it that of another. */
async function nameOf(change: { host?: string; boot?: string; pid?: number; start?: string } = {}): Promise<string> {
  const [, host, boot, pid, start] = /^m\.gguf\.(\w{6})(\w{6})-(\d+)-(\d*)\.partial$/.exec(basename(await partialPath(join(folder, 'm.gguf'))))!;
  return `m.gguf.${change.host ?? host}${change.boot ?? boot}-${change.pid ?? pid}-${change.start ?? start}.partial`;
}

async function stays(name: string, silentMs = 0): Promise<boolean> {
  await writeFile(join(folder, name), 'x');
  const then = (Date.now() - silentMs) / 1000;
  await utimes(join(folder, name), then, then);
  await removeLeftovers(join(folder, 'm.gguf'));
  return (await readdir(folder)).includes(name);
}

/** Of a process that has ended. */
const deadPid = (): number => spawnSync(process.execPath, ['-e', '']).pid;
const TELLS_START = process.platform === 'linux';

describe('what a process is writing', () => {
  it('stays, whether it is this one or another that lives', async () => {
    expect(await stays(await nameOf(), 86_400_000)).toBe(true);
    const child = spawn(process.execPath, ['-e', 'process.stdin.resume()'], { stdio: ['pipe', 'ignore', 'ignore'] });
    try {
      const stat = TELLS_START ? await readFile(`/proc/${child.pid!}/stat`, 'utf8') : '';
      const start = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
      expect(await stays(await nameOf({ pid: child.pid!, start }), 86_400_000)).toBe(true);
      expect(await stays(await nameOf({ pid: child.pid!, start: '' }))).toBe(true); // where that is not told
      child.kill('SIGSTOP'); // as with Ctrl-Z
      expect(await stays(await nameOf({ pid: child.pid!, start }), 86_400_000)).toBe(true);
    } finally {
      child.kill('SIGKILL');
    }
  });

  it('goes when the process has: file or folder, under whatever name', async () => {
    const pid = deadPid();
    expect(await stays(await nameOf({ pid }))).toBe(false);
    expect(await stays((await nameOf({ pid })).replace('m.gguf', 'another'))).toBe(false);
    const left = join(folder, (await nameOf({ pid })).replace('m.gguf', 'packed'));
    await mkdir(left);
    await writeFile(join(left, 'config.json'), '{}');
    await removeLeftovers(join(folder, 'm.gguf'));
    expect(await readdir(folder)).toEqual([]);
  });

  it.skipIf(!TELLS_START)('goes when another process has its number', async () => {
    expect(await stays(await nameOf({ start: '1' }))).toBe(false);
    expect(await stays(await nameOf({ pid: 1, start: '999999999999' }))).toBe(false); // not ours to signal, perhaps
  });

  it('stays when it is of another machine, as on a network disk', async () => {
    expect(await stays(await nameOf({ host: '0123ab', pid: deadPid() }), 30 * 86_400_000)).toBe(true);
  });

  it('of another container on this machine, or from before it was started: goes only if it is older than that', async () => {
    const other = await nameOf({ boot: '0123ab', pid: deadPid() });
    expect(await stays(other)).toBe(true);
    expect(await stays(other, uptime() * 1000)).toBe(true);
    expect(await stays(other, uptime() * 1000 + 86_400_000)).toBe(false);
  });

  it('nothing else is touched', async () => {
    const others = ['m.gguf', 'm.gguf.partial', 'm.gguf.0123abcd.partial', 'm.gguf.0123456789abc-1-1.partial', 'm.gguf.0123456789ab-1-1.partial.txt', 'x.0123456789AB-1-1.partial'];
    for (const name of others) await writeFile(join(folder, name), 'x');
    await removeLeftovers(join(folder, 'm.gguf'));
    expect(await readdir(folder)).toEqual(others.sort());
    await removeLeftovers(join(folder, 'no', 'such', 'folder')); // convert says that
  });
});

it('a terminal that is closed (SIGHUP) leaves the older file, and nothing else; a run removes what a killed one has left', async () => {
  const out = join(folder, 'out.gguf');
  await writeFile(out, 'an older file');
  const convert = (signal: NodeJS.Signals): ReturnType<typeof runScript> => runScript('src/cli/main.ts', ['convert', '--model', EMBEDDED, '--out', out], () => {}, async (kill) => {
    while (!(await readdir(folder)).some((name) => name.endsWith('.partial'))) await wait(1);
    kill(signal);
  });
  expect(await convert('SIGHUP')).toEqual({ code: null, stdout: '', stderr: '' });
  expect(await readdir(folder)).toEqual(['out.gguf']);
  expect((await convert('SIGKILL')).code).toBe(null);
  expect(await readdir(folder)).toHaveLength(2);
  const next = await runScript('src/cli/main.ts', ['convert', '--model', EMBEDDED, '--out', join(folder, 'other.gguf'), '--no-check', '--quiet']);
  expect(next).toEqual({ code: 0, stdout: '', stderr: '' });
  expect((await readdir(folder)).sort()).toEqual(['other.gguf', 'out.gguf']);
  expect(await readFile(out, 'utf8')).toBe('an older file');
});
