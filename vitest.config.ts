import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

/** Soaks, long fuzzing, and what starts many processes: `*.full.test.ts`. `npm test` leaves them out, `npm run test:full` runs them alone. */
const LONG = 'test/**/*.full.test.ts';

export default defineConfig(({ mode }) => ({
  resolve: {
    alias: [
      { find: /^matmulfree$/, replacement: fileURLToPath(new URL('src/index.ts', import.meta.url)) },
      { find: /^matmulfree\/server$/, replacement: fileURLToPath(new URL('src/server/index.ts', import.meta.url)) },
      { find: /^matmulfree\/worker$/, replacement: fileURLToPath(new URL('src/worker/index.ts', import.meta.url)) },
    ],
  },
  test: {
    include: mode === 'full' ? [LONG] : ['test/**/*.test.ts'],
    exclude: mode === 'full' ? [] : [LONG],
    globalSetup: 'test/support/build.ts',
    setupFiles: 'test/support/equality.ts',
    // One process for each processor, which imports and compiles a module once for all files. So a file leaves nothing behind.
    maxWorkers: '100%',
    isolate: false,
    restoreMocks: true,
    unstubEnvs: true,
    unstubGlobals: true,
    testTimeout: mode === 'full' ? 180_000 : 60_000,
    hookTimeout: 60_000,
    // Nothing leaves the machine, or touches the user's cache, by oversight: both lead to where nothing is.
    env: { HF_ENDPOINT: 'http://127.0.0.1:9', HF_TOKEN: '', MATMULFREE_CACHE: '/dev/null/matmulfree', FULL: mode === 'full' ? '1' : '' },
  },
}));
