import { expect, it } from 'vitest';
import { startScript } from '../support/run.js';

const tokens = 50_000;
/** Else the engine doubles the space for new objects at some point, by 16 MB. */
const NODE = ['--max-semi-space-size=1'];

it(`a session of ${tokens} tokens takes no more memory than one of 1,000`, async () => {
  const { stdout, stderr } = await startScript('test/support/long-session.ts', [String(tokens)], { flags: NODE }).ended;
  expect(stderr).toBe('');
  const { before, after, ...found } = JSON.parse(stdout) as Record<'before' | 'after' | 'tokens' | 'saved', number>;
  expect(found.tokens).toBe(tokens);
  expect(found.saved).toBeLessThan(20_000);
  console.log(`resident after 1,000 tokens ${(before / 1e6).toFixed(1)} MB, after ${tokens} ${(after / 1e6).toFixed(1)} MB`);
  expect(after / before).toBeLessThan(1.05);
}, 900_000);
