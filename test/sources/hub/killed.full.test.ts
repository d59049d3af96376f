import { spawn } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { repository } from '../../support/files.js';
import { startFiles } from '../../support/servers.js';
import { allFiles, bytesOf, temporaryFolder, use } from './setup.js';

const MIB = 2 ** 20;
const SIZE = 96 * MIB;
const KILL_AT = 56 * MIB;
/** Four connections, 2 MiB each, and what was on its way. */
const MOST_LOST = 10 * MIB;

it('a download that is killed keeps what has come, but for the last few MB', async () => {
  const bytes = new Uint8Array(SIZE);
  const block = bytesOf(MIB - 1, 71); // no piece is like another
  for (let at = 0; at + block.length <= SIZE; at += block.length) bytes.set(block, at);
  const server = await use(startFiles({ 'm.gguf': bytes }));
  const cache = await temporaryFolder();
  const script = join(cache, 'download.mts');
  await writeFile(script, `
    import { openRemote } from ${JSON.stringify(repository('src/sources/hub/remote.ts'))};
    const onProgress = ({ loaded }: { loaded: number }) => process.stdout.write(loaded + '\\n');
    const files = await openRemote(${JSON.stringify(`${server.url}/m.gguf`)}, { cache: ${JSON.stringify(cache)}, onProgress });
    await (await files.open('m.gguf'))!.close();
  `);
  const download = (onLoaded: (loaded: number, kill: () => void) => void): Promise<number | null> => new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ['--import', 'tsx', script], { cwd: repository('.'), stdio: ['ignore', 'pipe', 'inherit'] });
    let rest = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop()!;
      for (const line of lines) onLoaded(Number(line), () => child.kill('SIGKILL'));
    });
    child.on('error', reject).on('close', resolve);
  });

  let loadedAtKill = 0;
  expect(await download((loaded, kill) => {
    loadedAtKill = Math.max(loadedAtKill, loaded);
    if (loaded >= KILL_AT) kill();
  })).toBe(null);
  const log = (await allFiles(cache)).find((path) => path.endsWith('.log'))!;
  const kept = [...(await readFile(join(cache, log), 'utf8')).matchAll(/^(\d+)-(\d+)\n/gm)].reduce((sum, [, from, to]) => sum + Number(to) - Number(from), 0);
  console.log(`killed when ${(loadedAtKill / MIB).toFixed(1)} MiB had come; ${(kept / MIB).toFixed(1)} MiB are kept`);
  expect(kept).toBeGreaterThanOrEqual(loadedAtKill - MOST_LOST);

  let first: number | undefined;
  expect(await download((loaded) => { first ??= loaded; })).toBe(0);
  expect(first).toBeGreaterThanOrEqual(kept);
  const whole = (await allFiles(cache)).filter((path) => path.endsWith('/m.gguf'));
  expect(whole).toHaveLength(1);
  expect(Buffer.compare(await readFile(join(cache, whole[0]!)), bytes)).toBe(0);
});
