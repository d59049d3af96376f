import { readdir, readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { MatMulFreeError, SourceError } from 'matmulfree';
import { missingPart } from '../src/errors.js';
import { cpuMs } from './support/cpu.js';
import { repository } from './support/files.js';

describe('a message', () => {
  it.each([
    ['https://h:8/a/m.gguf?token=secret: is not there', 'https://h:8/a/m.gguf?… is not there'],
    ['cannot fetch "http://h/m?x=secret&y=secret" (http://h/?secret)', 'cannot fetch "http://h/m?…" (http://h/?…'],
    ['"hf:a/b?token=secret": write', '"hf:a/b?…": write'],
    ['https://h/x?next=http://h/y?a=(b)secret', 'https://h/x?…'],
    ["at 's3://b/k?X-Amz-Signature=secret'", "at 's3://b/k?…'"],
    ['models/m.gguf?token=secret: no such file', 'models/m.gguf?… no such file'],
  ])('never quotes a query: %s', (text, shown) => {
    expect(new MatMulFreeError(text).message).toBe(shown);
    expect(new SourceError(text).message).toBe(shown);
  });

  it.each(['constraint: regex "a//b?" at 4: what?', 'pattern "x?y" of "https://schema/a#/b"', 'what is https://h/?', 'a.b?c'])('keeps what is no query: %s', (text) => {
    expect(new MatMulFreeError(text).message).toBe(text);
  });

  it('takes no longer for a long one than it is long', () => {
    const began = cpuMs();
    for (const text of ['/'.repeat(50_000), '//a'.repeat(20_000), 'hf:'.repeat(20_000), `a?${'?b:'.repeat(20_000)}`]) expect(new MatMulFreeError(text).message).toBe(text);
    expect(cpuMs() - began).toBeLessThan(1000);
  });
});

describe('a part of the library that is loaded when it is needed', () => {
  it('and cannot be: an error of ours that says so, and what to do', () => {
    const thrown = (): never => missingPart(new TypeError('Failed to fetch dynamically imported module: https://h/assets/x.js?token=secret'));
    expect(thrown).toThrow(MatMulFreeError);
    expect(thrown).toThrow('a part of matmulfree cannot be loaded (TypeError: Failed to fetch dynamically imported module: https://h/assets/x.js?… reload the page, or restart the program');
  });

  it('is so everywhere', async () => {
    const files = (await readdir(repository('src'), { recursive: true })).filter((name) => name.endsWith('.ts') && !name.startsWith('cli'));
    let count = 0;
    for (const file of files) {
      const text = await readFile(repository(`src/${file}`), 'utf8');
      for (const [found] of text.matchAll(/(?<!typeof )\bimport\('[^']+'\)[^\s,;]{0,18}/g)) {
        if (/^import\('node:/.test(found)) continue; // a type
        expect(found, file).toMatch(/\.catch\(missingPart/);
        count++;
      }
    }
    expect(count).toBeGreaterThan(20);
  });
});
