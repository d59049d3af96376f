import { describe, expect, it } from 'vitest';
import { foldFileName, isPlainFileName, isPlainPath } from '../../src/formats/file-names.js';

describe('a plain file name', () => {
  it.each([
    'model.safetensors', 'model-00001-of-00002.safetensors', 'Modèle Q2+K (1).gguf', 'con-text.json', 'a', 'comma.bin', 'com10.bin', 'auxiliary.gguf', 'nullify', '模型.gguf', 'a~1', '$x', '%2e%2e', '-rf',
    'a'.repeat(200), 'constructor', '__proto__',
  ])('%s is one', (name) => {
    expect(isPlainFileName(name)).toBe(true);
  });

  it.each([
    // paths, of Unix and of Windows
    '', '.', '..', '...', 'a..b', 'a/b', '/a', '/dev/zero', '//host/share', '../a', 'a/../b', 'a\\b', '\\\\host\\share', '\\\\?\\C:\\a', '\\\\.\\PhysicalDrive0', 'C:', 'c:a', 'C:\\a', 'file:a', 'a:stream', '..\\a',
    // not seen, or not what is seen
    '.hidden', ' a', 'a ', 'a.', 'a. ', 'a\0b', 'a.json\0.png', 'a\nb', 'a\u202eb', 'a\u200b', 'a\u009bm', '\ufeffa', 'a\ud800', '\u00a0a', 'a\u3000',
    // devices of Windows
    'con', 'CON', 'Con.json', 'nul', 'NUL.json', 'nul .json', 'aux.gguf', 'prn', 'COM1.bin', 'com¹', 'LPT³.x', 'lpt9', 'conin$', 'CONOUT$.txt',
    // signs that mean something
    'a*', 'a?', 'a<b', 'a>b', 'a|b', '"a',
    // what looks the same to some file systems and libraries
    '‥', '…', '．．', 'a／b', 'a＼b', 'Ｃ：', 'ｃｏｎ', 'ＮＵＬ.json', 'a℀b',
    // too long for file systems: 255 bytes, some of which a download needs
    'a'.repeat(201), 'é'.repeat(101), '😀'.repeat(51), 'a'.repeat(1_000_000),
  ])('%j is none', (name) => {
    expect(isPlainFileName(name)).toBe(false);
    expect(isPlainPath(name), 'as a path').toBe(name === 'a/b');
  });
});

it('a plain path has up to seven folders, each a plain name', () => {
  expect(isPlainPath('a/b/c.gguf')).toBe(true);
  expect(isPlainPath(`${'a/'.repeat(7)}b`)).toBe(true);
  for (const path of ['a//b', '/a', 'a/', 'a/../b', 'a/./b', 'a/con/b', `${'a/'.repeat(8)}b`, 'a/'.repeat(1_000_000)]) expect(isPlainPath(path), path.slice(0, 40)).toBe(false);
});

it('names that are one on some file systems fold to one', () => {
  expect(new Set(['Model.JSON', 'model.json', 'ｍodel.json'].map(foldFileName))).toEqual(new Set(['model.json']));
  expect(foldFileName('e\u0301')).toBe(foldFileName('\u00c9'));
  expect(foldFileName('a')).not.toBe(foldFileName('b'));
});
