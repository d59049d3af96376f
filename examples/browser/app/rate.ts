import { element } from './page.js';
import { count } from './words.js';

/** The rate is that of the last tokens. */
const RATE_TOKENS = 64;
const RATE_MS = 250;

/** Tokens a second, on the page. */
export class Rate {
  private readonly recent: number[] = [];
  private last = 0;

  /** @param times milliseconds of tokens. @returns whether it was shown again, which is done some times a second. */
  add(times: readonly number[]): boolean {
    this.recent.push(...times);
    this.recent.splice(0, this.recent.length - RATE_TOKENS);
    const now = performance.now();
    if (now - this.last < RATE_MS) return false;
    this.last = now;
    this.show((1000 * this.recent.length) / this.recent.reduce((sum, ms) => sum + ms, 0));
    return true;
  }

  /** The model's own time, without its way to the page: of a text that is long enough. */
  finish({ newTokens, decodeMs }: { readonly newTokens: number; readonly decodeMs: number }): void {
    if (newTokens >= RATE_TOKENS) this.show((1000 * newTokens) / decodeMs);
  }

  private show(perSecond: number): void {
    element('rate').textContent = perSecond < 10 ? perSecond.toFixed(1) : count(Math.round(perSecond));
  }
}
