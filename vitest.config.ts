import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  resolve: {
    alias: [
      { find: /^matmulfree$/, replacement: fileURLToPath(new URL('src/index.ts', import.meta.url)) },
      { find: /^matmulfree\/worker$/, replacement: fileURLToPath(new URL('src/worker/index.ts', import.meta.url)) },
    ],
  },
  test: {
    include: ['test/**/*.test.ts'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // Nothing leaves the machine, or touches the user's cache, by oversight: both lead to where nothing is.
    env: { HF_ENDPOINT: 'http://127.0.0.1:9', HF_TOKEN: '', MATMULFREE_CACHE: '/dev/null/matmulfree' },
  },
});
