import { setTimeout as wait } from 'node:timers/promises';
import { beforeEach, describe, expect, it } from 'vitest';
import { cli, startCli } from '../../support/run.js';
import { sha256, type TestServer } from '../../support/servers.js';
import { allFiles, useTinyHub, wholeFiles } from './setup.js';

const MIB = 2 ** 20;
let model: Uint8Array;
let cache: string;
let hub: TestServer;
beforeEach(async () => {
  ({ model, cache, hub } = await useTinyHub());
});

/** Sends the first piece, half of the second, and then nothing. */
function hold(): void {
  hub.intercept = (request, response) => {
    if (!/=1048576-/.test(request.headers.range ?? '')) return false;
    response.writeHead(206, { 'content-range': `bytes ${MIB}-${model.length - 1}/${model.length}`, 'x-linked-etag': `"${sha256(model)}"` });
    response.write(model.subarray(MIB, 2 * MIB));
    return true;
  };
}

const isHeld = (): boolean => hub.seen.some(({ range }) => range?.startsWith('bytes=1048576-'));
const ask = ['generate', 'A cat', '--model', 'hf:someone/model', '-n', '5', '--seed', '1', '--quiet'];

describe('a model from the Hub in processes of the command line', () => {
  it('Ctrl-C in a download: exit code 130, and the next run goes on', async () => {
    hold();
    const { child, ended } = startCli(...ask);
    while (!isHeld()) await wait(10);
    await wait(300);
    child.kill('SIGINT');
    expect(await ended).toEqual({ code: 130, stdout: '', stderr: '' });
    expect(await wholeFiles(cache)).toEqual([]);
    expect((await allFiles(cache)).filter((path) => path.endsWith('.lock'))).toEqual([]);

    hub.seen.length = 0;
    hub.intercept = () => false;
    const again = await cli(...ask);
    expect(again).toMatchObject({ code: 0, stderr: '' });
    expect(again.stdout).toBe((await cli('generate', 'A cat', '-n', '5', '--seed', '1', '--quiet')).stdout);
    expect(hub.seen.map(({ range }) => range)).toEqual([undefined, `bytes=${2 * MIB}-${3 * MIB - 1}`, `bytes=${3 * MIB}-${model.length - 1}`]);
  });

  it.each([['SIGINT', 130], ['SIGTERM', 143]] as const)('%s stops the download of a file to be listed, and nothing stays locked', async (signal, code) => {
    hold();
    const { child, ended } = startCli('info', 'hf:someone/model');
    while (!isHeld()) await wait(10);
    await wait(300);
    child.kill(signal);
    expect(await ended).toEqual({ code, stdout: '', stderr: '' });
    expect((await allFiles(cache)).filter((path) => path.endsWith('.lock'))).toEqual([]);
    hub.intercept = () => false;
    expect((await cli('info', 'hf:someone/model')).stdout).toMatch(/^tiny\.gguf: GGUF v3, /);
    await hub.close();
    const offline = 'hf:someone/model: the server cannot be reached; using what is in the cache\n';
    expect((await cli('info', 'hf:someone/model')).stderr).toBe(offline);
    expect((await cli('info', 'hf:someone/model', '--quiet')).stderr).toBe('');
  });

  it('a process that is killed holds up nobody', async () => {
    hold();
    const { child, ended } = startCli(...ask);
    while (!isHeld()) await wait(10);
    await wait(300);
    child.kill('SIGKILL');
    expect((await ended).code).toBe(null);
    expect((await allFiles(cache)).filter((path) => path.endsWith('.lock'))).toHaveLength(1);
    hub.seen.length = 0;
    hub.intercept = () => false;
    expect(await cli(...ask)).toMatchObject({ code: 0, stderr: '' });
    expect(hub.seen[1]!.range).toMatch(/^bytes=1048576-/); // the first piece was kept
    expect((await allFiles(cache)).filter((path) => /\.(lock|part|log)$/.test(path))).toEqual([]);
  });

  it('two processes at once share one download', async () => {
    hub.intercept = async (request) => {
      if (request.url!.includes('/resolve/')) await wait(700);
      return false;
    };
    const both = await Promise.all([startCli(...ask).ended, startCli(...ask).ended]);
    for (const run of both) expect(run).toMatchObject({ code: 0, stderr: '' });
    expect(hub.seen.filter(({ path }) => path.includes('/resolve/'))).toHaveLength(2); // its two pieces
    expect(await wholeFiles(cache)).toHaveLength(1);
  });
});
