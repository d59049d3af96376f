import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sourceFromContent, type ByteSource } from 'matmulfree';
import { readPieces } from '../../src/formats/bytes.js';
import { filesFromDisk } from '../../src/platform/disk.js';

const CONTENT = Uint8Array.from({ length: 1000 }, (_, i) => (i * 7) ^ (i >> 3));
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'matmulfree-'));
  await writeFile(join(folder, 'file'), CONTENT);
});
afterAll(() => rm(folder, { recursive: true }));

const sources: [string, () => Promise<ByteSource>][] = [
  ['memory', async () => sourceFromContent('file', CONTENT)],
  ['a Blob', async () => sourceFromContent('file', new Blob([CONTENT]))],
  ['a file on disk', async () => (await (await filesFromDisk(folder)).open('file'))!],
];

describe.each(sources)('reading from %s', (_name, open) => {
  it('in pieces gives the stretch, whatever its length', async () => {
    const source = await open();
    const spare: Uint8Array[] = [];
    for (const [offset, length, piece] of [[0, 1000, 64], [3, 997, 64], [10, 128, 64], [10, 64, 64], [10, 5, 64], [0, 0, 64], [999, 1, 1], [1, 700, 699]] as const) {
      const pieces: number[][] = [];
      for await (const bytes of readPieces(source, offset, length, piece, spare)) pieces.push([...bytes]);
      expect(pieces.flat()).toEqual([...CONTENT.subarray(offset, offset + length)]);
      expect(pieces.slice(0, -1).every((bytes) => bytes.length === piece)).toBe(true);
    }
    expect(spare.length).toBeLessThanOrEqual(2);
    await source.close();
  });

  it('beyond the end ends in one error, at the piece that is not there', async () => {
    const source = await open();
    const seen: number[] = [];
    const run = async (): Promise<void> => {
      for await (const bytes of readPieces(source, 800, 400, 150)) {
        seen.push(bytes.length);
        await new Promise((resolve) => setTimeout(resolve, 5)); // while the next read fails, with nobody waiting for it
      }
    };
    await expect(run()).rejects.toThrow(/the file has 1000/);
    expect(seen).toEqual([150]);
    await source.close();
  });
});

it('a file on disk fills memory of the caller, and no more of it', async () => {
  const source = (await (await filesFromDisk(folder)).open('file'))!;
  const all = new Uint8Array(1000);
  await source.readInto!(100, all.subarray(500, 700));
  expect([...all.subarray(500, 700)]).toEqual([...CONTENT.subarray(100, 300)]);
  expect(all.subarray(0, 500).every((byte) => byte === 0) && all.subarray(700).every((byte) => byte === 0)).toBe(true);
  await expect(source.readInto!(900, new Uint8Array(200))).rejects.toThrow(/bytes 900 to 1100 are needed but the file has 1000/);
  await source.close();
});

/** A source that is read when the test says so. */
function slowSource(): { source: ByteSource; log: string[]; finish: () => void } {
  const log: string[] = [];
  let waiting: (() => void)[] = [];
  return {
    log,
    finish: () => {
      waiting.forEach((resolve) => resolve());
      waiting = [];
    },
    source: {
      name: 'slow', size: 1000, close: async () => {},
      read: () => Promise.reject(new Error('not this way')),
      readInto: async (offset, into) => {
        log.push(`start ${offset}`);
        await new Promise<void>((resolve) => waiting.push(resolve));
        into.set(CONTENT.subarray(offset, offset + into.length));
        log.push(`end ${offset}`);
      },
    },
  };
}

it('the next piece is read while one is worked on, and not one more', async () => {
  const { source, log, finish } = slowSource();
  const pieces = readPieces(source, 0, 300, 100);
  const first = pieces.next();
  finish();
  const kept = [...(await first).value!];
  expect(log).toEqual(['start 0', 'end 0', 'start 100']);
  finish();
  await Promise.resolve();
  expect(kept).toEqual([...CONTENT.subarray(0, 100)]);
  await pieces.next();
  expect(log).toEqual(['start 0', 'end 0', 'start 100', 'end 100', 'start 200']);
  finish();
  await pieces.return();
});

it('leaving early waits for the read that is under way: its buffer must not be used again before', async () => {
  const { source, log, finish } = slowSource();
  const spare: Uint8Array[] = [];
  const pieces = readPieces(source, 0, 300, 100, spare);
  const first = pieces.next();
  finish();
  await first;
  const left = pieces.return();
  await new Promise((resolve) => setTimeout(resolve, 5));
  expect(spare).toEqual([]);
  finish();
  await left;
  expect(log.at(-1)).toBe('end 100');
  expect(spare.length).toBe(2);
});
