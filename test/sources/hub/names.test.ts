import { describe, expect, it } from 'vitest';
import { hostKey, parseHubLocation, showUrl, slug } from '../../../src/sources/hub/names.js';
import { isPlainFileName } from '../../../src/formats/file-names.js';
import { ArgumentError } from '../../../src/errors.js';

const HUB = 'https://huggingface.co';

describe('where a model is on the Hub', () => {
  it.each([
    ['hf:someone/some.Model-1_b', { owner: 'someone', model: 'some.Model-1_b', revision: 'main', file: undefined }],
    ['hf:a/b@v1.0', { owner: 'a', model: 'b', revision: 'v1.0', file: undefined }],
    ['HF:a/b', { owner: 'a', model: 'b', revision: 'main', file: undefined }],
    ['hf:a/b@refs/pr/3', { owner: 'a', model: 'b', revision: 'refs/pr/3', file: undefined }],
    ['hf:a/b@feature%2Fx', { owner: 'a', model: 'b', revision: 'feature/x', file: undefined }],
    ['hf:a/b/m.gguf', { owner: 'a', model: 'b', revision: 'main', file: 'm.gguf' }],
    ['hf:a/b@main/deep/er/M Q2.GGUF', { owner: 'a', model: 'b', revision: 'main', file: 'deep/er/M Q2.GGUF' }],
    ['hf:a/b@refs/pr/3/m.gguf', { owner: 'a', model: 'b', revision: 'refs/pr/3', file: 'm.gguf' }],
    [`${HUB}/a/b`, { owner: 'a', model: 'b', revision: 'main', file: undefined }],
    [`${HUB}/a/b/`, { owner: 'a', model: 'b', revision: 'main', file: undefined }],
    [`${HUB}/a/b/tree/v1`, { owner: 'a', model: 'b', revision: 'v1', file: undefined }],
    [`${HUB}/a/b/blob/main/x/m.gguf`, { owner: 'a', model: 'b', revision: 'main', file: 'x/m.gguf' }],
    [`${HUB}/a/b/resolve/main/m.gguf?download=true`, { owner: 'a', model: 'b', revision: 'main', file: 'm.gguf' }],
  ])('%s', (location, expected) => {
    expect(parseHubLocation(location, HUB)).toEqual({ endpoint: HUB, ...expected });
  });

  it.each(['https://example.com/a/b', `${HUB}/a/b.gguf`, 'https://huggingface.co.evil.com/a/b', `${HUB}/a/b/c/d/e`])('not %s', (location) => {
    expect(parseHubLocation(location, HUB)).toBeUndefined();
  });

  it.each([
    'hf:', 'hf:a', 'hf:/b', 'hf:a/', 'hf:a/..', 'hf:../b', 'hf:a/b@..', 'hf:a/b@', 'hf:a/b@main/', 'hf:a/b@a%2F..%2Fb', 'hf:a/b/config.json', 'hf:a/b/../m.gguf',
    'hf:a/b//m.gguf', 'hf:a/b/x%2F..%2Fm.gguf', 'hf:a/b/m%00.gguf', 'hf:a/b/x\\m.gguf', 'hf:a/b/nul/m.gguf', 'hf:a/b%2Fc', 'hf:a b/c', 'hf:a/b@%', 'hf:a/b/C:m.gguf',
  ])('refuses %s', (location) => {
    expect(() => parseHubLocation(location, HUB)).toThrow(ArgumentError);
  });
});

describe('names in the cache', () => {
  it('are safe whatever the URL', () => {
    for (const url of ['https://example.com', 'http://[::1]:8080/a/../b', 'https://con/nul', 'https://ex.com/%2e%2e/x', 'https://a.b./']) {
      expect(isPlainFileName(hostKey(url)), hostKey(url)).toBe(true);
    }
    for (const text of ['', '../..', 'a/b', 'nul', '\0', 'x'.repeat(1000), 'https://h/?a=b']) expect(isPlainFileName(`url--${slug(text)}`), slug(text)).toBe(true);
  });

  it('tell apart what is not the same', () => {
    expect(hostKey('http://h')).not.toBe(hostKey('https://h'));
    expect(hostKey('http://h:1')).not.toBe(hostKey('http://h:2'));
    expect(slug('a/b')).not.toBe(slug('a-b'));
  });

  it('messages show no query, no user', () => {
    expect(showUrl('https://me:secret@h/a?token=secret#secret')).toBe('https://h/a');
  });
});
