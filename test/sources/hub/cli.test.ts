import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { cli } from '../../support/run.js';
import type { TestServer } from '../../support/servers.js';
import { allFiles, useTinyHub } from './setup.js';

let model: Uint8Array;
let cache: string;
let hub: TestServer;
beforeEach(async () => {
  ({ model, cache, hub } = await useTinyHub());
});

describe('a model from the Hub on the command line', () => {
  it('one line for an error', async () => {
    const { code, stdout, stderr } = await cli('info', '--model', 'hf:someone/other');
    expect({ code, stdout, stderr }).toEqual({ code: 1, stdout: '', stderr: 'matmulfree: hf:someone/other: is not there (status 404)\n' });
    expect((await cli('info', '--model', 'hf:someone')).stderr).toMatch(/^matmulfree: "hf:someone": write a model on the Hub as hf:owner\/name.*\n$/);
  });

  it('away from the network, the cache serves, and a line says so', async () => {
    await cli('info', '--model', 'hf:someone/model', '--quiet');
    await hub.close();
    const run = await cli('info', '--model', 'hf:someone/model');
    expect(run).toMatchObject({ code: 0, stderr: 'hf:someone/model: the server cannot be reached; using what is in the cache\n' });
    expect(await cli('info', '--model', 'hf:someone/model', '--quiet')).toMatchObject({ code: 0, stderr: '' });
  });

  it('convert takes one too', async () => {
    const out = join(cache, 'out.gguf');
    expect(await cli('convert', '--model', 'hf:someone/model', '--out', out, '--type', 'TQ1_0', '--name', 'tinystories-9m', '--quiet')).toEqual({ code: 0, stdout: '', stderr: '' });
    expect((await readFile(out)).equals(model)).toBe(true);
  });
});

describe('cache', () => {
  it('list and clear', async () => {
    expect((await cli('cache', 'list')).stdout).toBe('    0 B  in all\n');
    await cli('info', '--model', 'hf:someone/model', '--quiet');
    const host = (await allFiles(cache))[0]!.split('/')[0]!;
    const partial = join(cache, host, 'models--other--model', 'abcdef0123');
    await mkdir(partial, { recursive: true });
    await writeFile(join(partial, '.m.gguf.0123456789abcdef.part'), new Uint8Array(8192).fill(1));
    const size = model.length;
    expect((await cli('cache', 'list')).stdout).toBe(
      ` ${(size / 1e6).toFixed(1)} MB  hf:someone/model\n 8.2 kB  models--other--model (8.2 kB of it not complete)\n ${((size + 8192) / 1e6).toFixed(1)} MB  in all\n`,
    );
    expect(JSON.parse((await cli('cache', 'list', '--json')).stdout)).toMatchObject([{ name: 'hf:someone/model', bytes: size }, { partialBytes: 8192 }]);
    const named = join(cache, host, 'models--x', 'refs');
    await mkdir(named, { recursive: true });
    await writeFile(join(named, 'x.json'), JSON.stringify({ source: 'hf:x\u001b[2J\u202e/y' }));
    expect((await cli('cache', 'list')).stdout).toContain('  hf:x [2J /y\n');
    await rm(join(named, '..'), { recursive: true });
    expect(await cli('cache', 'clear', 'hf:no/such')).toMatchObject({ code: 2, stderr: expect.stringMatching(/the cache holds no "hf:no\/such"/) as string });
    expect(await cli('cache', 'clear', 'hf:someone/model')).toEqual({ code: 0, stdout: '', stderr: `removed 1 model, ${(size / 1e6).toFixed(1)} MB\n` });
    expect(await cli('cache', 'clear', '--quiet')).toEqual({ code: 0, stdout: '', stderr: '' });
    expect(await allFiles(cache)).toEqual([]);
  });

  it('tells how it is used', async () => {
    const help = await cli('cache', '--help');
    expect(help).toMatchObject({ code: 0, stderr: '' });
    expect(help.stdout).toMatch(/^Usage: matmulfree cache list/);
    for (const args of [[], ['burn'], ['list', 'x']]) expect(await cli('cache', ...args)).toMatchObject({ code: 2, stdout: '' });
  });
});
