/*
 * The same tests run twice: in `npm test`, which everybody waits for, and with many more inputs in `npm run test:full`. A file has more to do
 * there if a file of its name and `.full.test.ts` imports it.
 */

/** Whether this is `npm run test:full` (vitest.config.ts says so). */
export const FULL = process.env['FULL'] === '1';

/** So much in `npm test`, so much in `npm run test:full`. */
export function effort<T>(plain: T, full: T): T {
  return FULL ? full : plain;
}

/** How many random inputs are tried: `plain`, or `full` of them; `FUZZ=n` tries n. */
export function tries(plain: number, full = plain * 10): number {
  return Number(process.env['FUZZ'] ?? effort(plain, full));
}
