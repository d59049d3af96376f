import { afterEach, expect, it, vi } from 'vitest';
import { SourceError } from 'matmulfree/worker';
import { scaleFor } from '../../examples/browser/app/times.js';
import { inPlainWords } from '../../examples/browser/app/trouble.js';

afterEach(() => vi.unstubAllGlobals());

it.each([[false, 'There is no network.'], [true, 'The model could not be fetched.']])('tells a page without a network from a server that fails: online %s', (onLine, what) => {
  vi.stubGlobal('navigator', { onLine });
  const error = new SourceError('hf:a/b: the connection fails: Failed to fetch (https://huggingface.co/api/models/a/b, tried 6 times)');
  expect(inPlainWords(error)).toMatchObject({ what, detail: `SourceError: ${error.message}` });
});

it('ends an axis at the least of 1, 2, 5, 10, 20 … that is no less than what is shown', () => {
  for (const [most, end] of [[0, 1], [1, 1], [1.01, 2], [2, 2], [4.9, 5], [5.1, 10], [0.61, 1], [0.19, 0.2], [0.021, 0.05], [0.007, 0.01], [730, 1000], [1200, 2000]] as const) {
    expect(scaleFor(most), String(most)).toBe(end);
  }
});
