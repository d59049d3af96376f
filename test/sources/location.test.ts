import { execFile } from 'node:child_process';
import fs, { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { ArgumentError, inspect, MatMulFreeError, MatMulFreeLM, SourceError } from 'matmulfree';
import { onPage } from '../../src/sources/page.js';
import { withoutFiles } from '../support/browser-like.js';
import { built } from '../support/build.js';
import { randomTensors, TINY, tinyCheckpoint } from '../support/checkpoints.js';
import { gguf, modelMetadata, modelTensors } from '../support/gguf-files.js';
import { startFiles } from '../support/servers.js';

const model = Uint8Array.from(gguf({ metadata: modelMetadata(TINY), tensors: modelTensors(randomTensors(TINY, 1)) }));

let end: (() => void) | undefined;
afterEach(() => {
  end?.();
  end = undefined;
  vi.restoreAllMocks();
});

async function failure(action: Promise<unknown>): Promise<Error> {
  const error: unknown = await action.then(() => undefined, (reason: unknown) => reason);
  expect(error).toBeInstanceOf(MatMulFreeError);
  return error as Error;
}

describe('a path', () => {
  it.each([
    ['./m.gguf', 'https://h/a/m.gguf'], ['m.gguf', 'https://h/a/m.gguf'], ['/models/m.gguf', 'https://h/models/m.gguf'], ['../m.gguf', 'https://h/m.gguf'],
    ['models/m.gguf?v=3', 'https://h/a/models/m.gguf?v=3'], ['//cdn/m.gguf', 'https://cdn/m.gguf'], ['ä b.gguf', 'https://h/a/%C3%A4%20b.gguf'],
    ['https://other/m.gguf', 'https://other/m.gguf'], ['hf:a/b', 'hf:a/b'], ['blob:https://h/1', 'blob:https://h/1'], ['data:,x', 'data:,x'], ['', ''],
  ])('%j is told from the page', (path, address) => {
    expect(onPage(path)).toBe(path); // here are files
    end = withoutFiles({ document: { baseURI: 'https://h/a/page.html?x#y' }, location: { href: 'https://elsewhere/' } });
    expect(onPage(path)).toBe(address);
    end();
    end = withoutFiles({ location: { href: 'https://h/a/worker.js' } });
    expect(onPage(path)).toBe(address);
  });

  it('loads from the page, in a page and in a worker; a folder, too', async () => {
    const server = await startFiles({ 'site/m.gguf': model, ...Object.fromEntries(Object.entries(tinyCheckpoint()).map(([name, bytes]) => [`models/tiny/${name}`, bytes])) });
    try {
      for (const globals of [{ document: { baseURI: `${server.url}/site/index.html` } }, { location: { href: `${server.url}/site/worker.js` } }]) {
        end = withoutFiles(globals);
        for (const path of ['m.gguf', './m.gguf', '/site/m.gguf', '../models/tiny', '/models/tiny/']) {
          expect((await MatMulFreeLM.load(path, { backend: 'scalar' })).config.hiddenSize, path).toBe(12);
        }
        expect((await failure(MatMulFreeLM.load('someone/model'))).message).toBe(
          `${server.url}/site/someone/model/: holds no config.json; give the URL of a .gguf file, or of a folder in Hugging Face layout, or hf:owner/name for a model on the Hub`,
        );
        expect((await failure(MatMulFreeLM.load('none.gguf?token=secret'))).message).toBe(`${server.url}/site/none.gguf: there is no such file, or it is a web page`);
        end();
      }
    } finally {
      await server.close();
    }
  });

  it('where there are neither files nor a page: what to give instead', async () => {
    for (const globals of [{}, { location: { href: 'blob:https://h/0b5c' } }]) {
      end = withoutFiles(globals);
      const error = await failure(MatMulFreeLM.load('./m.gguf'));
      expect(error).toBeInstanceOf(SourceError);
      expect(error.message).toBe('"./m.gguf": there is no file system here; load an http(s) URL, a File, a Blob, a Response or bytes instead');
      end();
    }
  });

  it('on a page that was opened from the disk', async () => {
    end = withoutFiles({ document: { baseURI: 'file:///home/me/page.html' } });
    for (const path of ['./m.gguf', 'file:///home/me/m.gguf']) {
      expect((await failure(MatMulFreeLM.load(path))).message).toBe(`"${path}": a page cannot open files by their path; serve page and model with a web server, or let people choose a file and load that File`);
    }
  });

  it.each(['owner/name', 'ridger/MMfreeLM-370M', 'a/b@v1', 'a/b/deep/m.gguf'])('%s that is not there: a hint at hf:', async (name) => {
    expect((await failure(MatMulFreeLM.load(name))).message).toBe(`${name}: no such file or folder; a model on the Hugging Face Hub is written hf:${name}`);
  });
  it('of this package, which has no such place: how to find it', async () => {
    const message = "matmulfree/models/m.gguf: no such file or folder; what this package has is found by import.meta.resolve('matmulfree/models/m.gguf')";
    expect((await failure(MatMulFreeLM.load('matmulfree/models/m.gguf'))).message).toBe(message);
  });
  it.each(['models/m.gguf', 'no/such/model', './a/b', '/a/b', 'm.gguf', 'a//b'])('%s that is not there: no such hint', async (name) => {
    expect((await failure(MatMulFreeLM.load(name))).message).toBe(`${name}: no such file or folder`);
  });
});

describe('an address', () => {
  it('with the file in it (data:), or of a Blob (blob:), is fetched', async () => {
    const blob = URL.createObjectURL(new Blob([model]));
    for (const address of [`data:application/octet-stream;base64,${Buffer.from(model).toString('base64')}`, blob, new URL(blob)]) {
      expect((await MatMulFreeLM.load(address)).config.hiddenSize).toBe(12);
    }
    URL.revokeObjectURL(blob);
    const error = await failure(MatMulFreeLM.load(blob));
    expect(error).toBeInstanceOf(SourceError);
    expect(error.message).toMatch(/^the blob: URL: cannot be fetched here \(.+\)$/);
    expect((await failure(MatMulFreeLM.load('data:text/html,<p>'))).message).toBe('the data: URL: there is no such file: the server answers with a web page');
  });

  it.each(['s3://bucket/m.gguf?X-Amz-Signature=secret', 'ftp://h/m.gguf?token=secret', 'chrome-extension://x/m.gguf?secret'])('%s of a kind that cannot be fetched: an error of ours', async (address) => {
    const error = await failure(MatMulFreeLM.load(address));
    expect(error).toBeInstanceOf(SourceError);
    expect(error.message).toMatch(new RegExp(`^${address.replace(/\?.*/, '')}: cannot be fetched here \\(.+\\)$`));
    expect(error.message).not.toContain('secret');
  });
});

describe('what cannot be read on disk', () => {
  it.each([['EACCES: permission denied', 'scandir'], ['EMFILE: too many open files', 'scandir'], ['EIO: i/o error', 'scandir']])('a folder (%s)', async (complaint, call) => {
    const folder = await mkdtemp(join(tmpdir(), 'matmulfree-'));
    try {
      vi.spyOn(fs, 'readdir').mockRejectedValue(Object.assign(new Error(`${complaint}, ${call} '${folder}'`), { code: complaint.slice(0, 6) }));
      for (const open of [MatMulFreeLM.load, inspect]) {
        const error = await failure(open(folder));
        expect(error).toBeInstanceOf(SourceError);
        expect(error.message).toBe(`${folder}: ${complaint}`);
      }
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it('a file, when it is opened, looked at or read', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'matmulfree-'));
    const file = join(folder, 'm.gguf');
    await writeFile(file, model);
    const emfile = Object.assign(new Error(`EMFILE: too many open files, open '${file}'`), { code: 'EMFILE' });
    const eio = Object.assign(new Error('EIO: i/o error, read'), { code: 'EIO' });
    const { open } = fs;
    try {
      const broken = {
        open: () => Promise.reject(emfile),
        stat: async (...args: Parameters<typeof open>) => Object.assign(await open(...args), { stat: () => Promise.reject(eio) }),
        read: async (...args: Parameters<typeof open>) => Object.assign(await open(...args), { read: () => Promise.reject(eio) }),
      };
      for (const [what, mock] of Object.entries(broken)) {
        vi.spyOn(fs, 'open').mockImplementation(mock as typeof open);
        const error = await failure(MatMulFreeLM.load(file));
        expect(error, what).toBeInstanceOf(SourceError);
        expect(error.message, what).toBe(what === 'open' ? `${file}: EMFILE: too many open files` : `${file}: EIO: i/o error`);
        vi.restoreAllMocks();
      }
      expect((await MatMulFreeLM.load(file)).config.hiddenSize).toBe(12);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});

describe('a source of a kind that is close to one', () => {
  const wrong: readonly (readonly [unknown, string])[] = [
    [Promise.resolve(model), 'load: got a Promise; write await before it'],
    [new Request('https://h/m.gguf?token=secret'), 'load: got a Request; give its url, or what fetch gives for it'],
    [new Blob([model]).stream(), 'load: got a ReadableStream; give new Response(stream)'],
    [new Float32Array(4), 'load: got a Float32Array; give a Uint8Array'],
    [new DataView(new ArrayBuffer(4)), 'load: got a DataView; give a Uint8Array'],
    [new Date(), 'load: got an object; give a path, a URL, hf:owner/name, a File or Blob, a Response, bytes, or files by name'],
    [() => model, 'load: got a function; give a path, a URL, hf:owner/name, a File or Blob, a Response, bytes, or files by name'],
  ];
  it.each(wrong.map(([source, message]) => [message, source] as const))('%s', async (message, source) => {
    const error = await failure(MatMulFreeLM.load(source as never));
    expect(error).toBeInstanceOf(ArgumentError);
    expect(error.message).toBe(message);
  });

  it('Files in any list, as an <input> has one', async () => {
    const file = new File([model], 'm.gguf');
    for (const list of [[file], new Set([file]), { length: 1, 0: file, [Symbol.iterator]: () => [file].values() }]) {
      expect((await MatMulFreeLM.load(list as never)).config.hiddenSize).toBe(12);
    }
  });

  it('bytes that were moved to another thread', async () => {
    const { buffer } = model.slice();
    const lm = await MatMulFreeLM.load(buffer);
    const state = lm.createState().serialize();
    const view = new Uint8Array(buffer);
    structuredClone([buffer, state.buffer], { transfer: [buffer, state.buffer as ArrayBuffer] });
    for (const source of [buffer, view, { 'm.gguf': view }]) {
      const error = await failure(MatMulFreeLM.load(source));
      expect(error).toBeInstanceOf(ArgumentError);
      expect(error.message).toMatch(/^mo?d?e?l?\.gguf: these bytes have been moved to another thread, and are empty here$/);
    }
    for (const moved of [state, state.buffer as ArrayBuffer]) {
      expect(() => lm.restoreState(moved)).toThrow(new ArgumentError('restoreState: these bytes have been moved to another thread, and are empty here'));
      expect(() => lm.openSession(moved)).toThrow(new ArgumentError('openSession: these bytes have been moved to another thread, and are empty here'));
    }
  });
});

it.skipIf(process.platform === 'win32')('a process that may open no more files: errors of ours', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'matmulfree-'));
  try {
    await writeFile(join(folder, 'm.gguf'), model);
    await writeFile(join(folder, 'run.mjs'), `
      import { openSync } from 'node:fs';
      import { inspect, listCache, MatMulFreeLM, MatMulFreeError } from ${JSON.stringify(built('src/index.ts'))};
      const isLoaded = process.argv[2] === 'loaded';
      if (isLoaded) await MatMulFreeLM.load('m.gguf');
      try { for (;;) openSync('run.mjs'); } catch {}
      const calls = [MatMulFreeLM.load('m.gguf'), MatMulFreeLM.load('.'), inspect('.'), MatMulFreeLM.load('hf:a/b', { cache: '.' }), listCache({ cache: '.' })];
      for (const { reason } of await Promise.allSettled(calls)) console.log(reason instanceof MatMulFreeError, reason?.message.includes('EMFILE'), reason?.message.includes('restart the program') !== isLoaded);
    `);
    for (const when of ['new', 'loaded']) {
      const { stdout } = await promisify(execFile)('sh', ['-c', 'ulimit -n 500; exec "$0" run.mjs "$1"', process.execPath, when], { cwd: folder });
      const lines = stdout.trim().split('\n');
      expect(lines).toHaveLength(5);
      for (const line of lines) expect(line, when).toMatch(/^true /);
      expect(lines[0], when).toBe('true true true');
    }
  } finally {
    await rm(folder, { recursive: true });
  }
});
