import fs, { type FileHandle } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, it, vi } from 'vitest';
import { diskStore } from '../../../src/sources/hub/disk-store.js';
import { nodeModules } from '../../../src/platform/node.js';
import { freshSeed, randomFrom } from '../../support/random.js';
import { startFiles } from '../../support/servers.js';
import { allFiles, bytesOf, FAST, fetchBytes, temporaryFolder, use } from './setup.js';

/*
 * A power cut at any write to the disk. What was written to a file since it was last synced is lost: garbage is in its place. Lines that
 * are being added to a file come in part. Nothing checks the file's content (there is no checksum), so what is noted must be true.
 */

const bytes = bytesOf(50_000, 61);
const GARBAGE = 0xee;
const TUNING = { ...FAST, keepBytes: 3000, pieceBytes: 2 ** 13 };

afterEach(() => vi.restoreAllMocks());

/** A disk whose power is cut at the `n`th write of any kind. */
function cutPowerAt(n: number, random: ReturnType<typeof randomFrom>): { isCut: () => boolean; lose: () => Promise<number> } {
  let done = 0;
  const fresh: { file: string; at: number; bytes: number }[] = [];
  const live = (): boolean => ++done < n;
  const dead = (): never => { throw new Error('there is no power'); };
  const real = { open: fs.open, appendFile: fs.appendFile };

  vi.spyOn(fs, 'open').mockImplementation(async (...args) => {
    const file = String(args[0]);
    if (args[1] === 'r') return real.open(...args);
    if (!live()) dead();
    const handle = await real.open(...args);
    const { write, datasync, sync, truncate } = handle;
    const synced = (action: () => Promise<void>) => async (): Promise<void> => {
      const before = fresh.filter((each) => each.file === file);
      if (!live()) dead();
      await action.call(handle);
      for (const each of before) fresh.splice(fresh.indexOf(each), 1);
    };
    return Object.assign(handle, {
      async write(data: Uint8Array, offset: number, length: number, at: number) {
        if (!live()) dead();
        fresh.push({ file, at, bytes: length });
        return (write as (...args: unknown[]) => ReturnType<FileHandle['write']>).call(handle, data, offset, length, at);
      },
      datasync: synced(datasync), sync: synced(sync),
      truncate: async (length: number) => (live() ? truncate.call(handle, length) : dead()),
    });
  });
  vi.spyOn(fs, 'appendFile').mockImplementation(async (file, line, options) => {
    if (live()) return real.appendFile(file, line, options);
    const part = String(line).slice(0, random.integer(0, String(line).length));
    if (done === n) await real.appendFile(file, part, options);
    return dead();
  });
  for (const name of ['rm', 'rename', 'writeFile', 'mkdir'] as const) {
    const original = fs[name] as (...args: unknown[]) => unknown;
    vi.spyOn(fs as unknown as Record<string, (...args: unknown[]) => unknown>, name).mockImplementation(async (...args) => (live() ? original.apply(fs, args) : dead()));
  }
  return {
    isCut: () => done >= n,
    async lose() {
      vi.restoreAllMocks();
      for (const { file, at, bytes: length } of fresh) {
        const handle = await fs.open(file, 'r+').catch(() => undefined); // it may have got its name
        await handle?.write(new Uint8Array(length).fill(GARBAGE), 0, length, at);
        await handle?.close();
      }
      return fresh.reduce((sum, { bytes: length }) => sum + length, 0);
    },
  };
}

const seed = freshSeed();
it(`whenever the power is cut, what is gone on with is right (seed ${seed})`, async () => {
  const random = randomFrom(seed);
  const server = await use(startFiles({ 'm.gguf': bytes }));
  let [lost, cuts, saved] = [0, 0, 0];
  for (let round = 0; round < 25; round++) {
    const cache = await temporaryFolder();
    const get = (): Promise<Uint8Array | undefined> => fetchBytes(`${server.url}/m.gguf`, 'm.gguf', { cache }, TUNING);
    for (let time = 0; time < 4; time++) {
      const power = cutPowerAt(random.integer(1, 40), random);
      await get().catch((error: unknown) => { if (!power.isCut()) throw error; });
      lost += await power.lose();
      if (!power.isCut()) break;
      cuts++;
      // The process is gone as well.
      for (const lock of (await allFiles(cache)).filter((path) => path.endsWith('.lock'))) await fs.writeFile(join(cache, lock), `999999999 ${hostname()}`);
    }
    server.seen.length = 0;
    expect(Buffer.compare((await get())!, bytes)).toBe(0);
    if (!server.seen.slice(1).some(({ range }) => range!.startsWith('bytes=0-'))) saved++;
  }
  expect(cuts).toBeGreaterThan(10);
  expect(lost).toBeGreaterThan(1000);
  expect(saved).toBeGreaterThan(3);
});

it.each(['removed', 'replaced by a shorter one', 'begun anew'])('a log whose file was %s counts for nothing, then and later', async (what) => {
  const cache = await temporaryFolder();
  const store = diskStore(nodeModules()!, cache);
  const key = ['h', 'm', 'v', 'm.gguf'];
  const write = async (from: number, to: number): Promise<void> => {
    const partial = await store.partial(key, 'id');
    await partial.write(from, from, bytes.subarray(from, to));
    await partial.keep([from, to]);
    await partial.close();
  };
  await write(0, 10_000);
  const part = join(cache, (await allFiles(cache)).find((path) => path.endsWith('.part'))!);
  if (what === 'begun anew') {
    const partial = await store.partial(key, 'id');
    await partial.reset();
    await partial.write(30_000, 30_000, bytes.subarray(30_000, 40_000));
    await partial.keep([30_000, 40_000]);
    await partial.close();
  } else await fs.rm(part);
  if (what === 'replaced by a shorter one') await fs.writeFile(part, new Uint8Array(9999));
  await write(30_000, 40_000); // now it is long enough for the old log, and has a hole there
  const partial = await store.partial(key, 'id');
  expect(partial.spans).toEqual([[30_000, 40_000]]); // and not 0 to 10,000
  await partial.close();
});
