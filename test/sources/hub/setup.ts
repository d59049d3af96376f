import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished, vi } from 'vitest';
import type { ByteSource } from '../../../src/formats/bytes.js';
import { DEFAULT_TUNING, type Tuning } from '../../../src/sources/hub/http.js';
import { openRemote, type RemoteOptions } from '../../../src/sources/hub/remote.js';
import { EMBEDDED } from '../../support/files.js';
import { randomFrom } from '../../support/random.js';
import { startHub, type TestServer } from '../../support/servers.js';

/** Small pieces, short waits. */
export const FAST: Tuning = {
  ...DEFAULT_TUNING,
  attempts: 4, backoffMs: 4, maxBackoffMs: 16, maxRetryAfterMs: 400, stallMs: 300, stallBytes: 64, progressBytes: 2 ** 16,
  connections: 3, pieceBytes: 2 ** 14, firstPieceBytes: 2 ** 12, progressMs: 0,
};

export function bytesOf(length: number, seed: number): Uint8Array {
  const random = randomFrom(seed);
  return Uint8Array.from({ length }, () => random.integer(0, 255));
}

/** Closed after the test. */
export async function use(server: Promise<TestServer>): Promise<TestServer> {
  const started = await server;
  onTestFinished(() => started.close());
  return started;
}

/** Removed after the test. */
export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'matmulfree-hub-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** A Hub with one model, and an empty cache, which other processes are told of too. Until the test ends. */
export async function useTinyHub(): Promise<{ readonly model: Uint8Array; readonly cache: string; readonly hub: TestServer }> {
  const model = new Uint8Array(await readFile(EMBEDDED));
  const cache = await temporaryFolder();
  const hub = await use(startHub({ 'tiny.gguf': model }));
  vi.stubEnv('MATMULFREE_CACHE', cache);
  vi.stubEnv('HF_ENDPOINT', hub.url);
  return { model, cache, hub };
}

/** Opens `file` of `location` and reads it. */
export async function fetchBytes(location: string, file: string, options: RemoteOptions, tuning = FAST): Promise<Uint8Array | undefined> {
  const source = await (await openRemote(location, options, tuning)).open(file);
  return source && readAll(source);
}

export async function readAll(source: ByteSource): Promise<Uint8Array> {
  return Uint8Array.from(await source.read(0, source.size).finally(() => source.close()));
}

/** All files below `folder`, our bookkeeping (names with a dot in front, refs) left out. */
export async function wholeFiles(folder: string): Promise<string[]> {
  return (await allFiles(folder)).filter((path) => !path.includes('/refs/') && !/(^|\/)\.[^/]*$/.test(path));
}

export async function allFiles(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => !entry.isDirectory()).map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1)).sort();
}
