import { afterEach, expect, it, vi } from 'vitest';
import { SourceError } from 'matmulfree/worker';
import { inPlainWords } from '../../examples/browser/app/trouble.js';

afterEach(() => vi.unstubAllGlobals());

it.each([[false, 'There is no network.'], [true, 'The model could not be fetched.']])('tells a page without a network from a server that fails: online %s', (onLine, what) => {
  vi.stubGlobal('navigator', { onLine });
  const error = new SourceError('hf:a/b: the connection fails: Failed to fetch (https://huggingface.co/api/models/a/b, tried 6 times)');
  expect(inPlainWords(error)).toMatchObject({ what, detail: `SourceError: ${error.message}` });
});
