import { element } from './page.js';
import { label, LEFT, rule, shape, WIDTH } from './svg.js';
import { count, milliseconds } from './words.js';

/** How long a token took. */
export interface TokenTime {
  /** Milliseconds. */
  readonly ms: number;
  /** One of the first ones after a pause: they wait for what came before, for the compiler and for caches. */
  readonly isWarmUp: boolean;
}

/** Tokens of which one point is the median: a pause of the page is not the model's. */
const BIN = 16;
/** A point is drawn when it has so many. */
const ENOUGH = BIN / 2;
const [HEIGHT, TOP, BASE] = [96, 10, 78];

/** The time for each token, over the length of the text. */
export class Times {
  private readonly bins: number[][] = [];

  reset(): void {
    this.bins.length = 0;
  }

  /** @param end length of the text with these tokens, which are its last ones. Those of a warm-up are left out. */
  add(tokens: readonly TokenTime[], end: number): void {
    for (const [n, { ms, isWarmUp }] of tokens.entries()) {
      if (!isWarmUp) (this.bins[Math.floor((end - tokens.length + n) / BIN)] ??= []).push(ms);
    }
  }

  /** @param most tokens, at the end of the axis. */
  draw(most: number): void {
    const known = this.bins.flatMap((times, bin) => (times.length < ENOUGH ? [] : [{ bin, ms: median(times) }]));
    const top = scaleFor(Math.max(0, ...known.map(({ ms }) => ms)));
    const y = (ms: number): number => BASE - (ms / top) * (BASE - TOP);
    const x = (bin: number): number => Math.min(WIDTH, LEFT + ((bin + 0.5) * BIN * (WIDTH - LEFT)) / most);
    const points = known.map(({ bin, ms }) => `${x(bin).toFixed(1)},${y(ms).toFixed(1)}`);
    const ticks = known.length === 0 ? [0] : [0, top / 2, top];
    element('time-plot').replaceChildren(
      ...ticks.map((ms) => rule(y(ms), ms === 0 ? 'axis' : 'grid')), ...ticks.map((ms) => label(tick(ms, top), LEFT - 6, y(ms) + 3.5, 'axis-label', 'end')),
      shape('polyline', { class: 'time', points: points.join(' ') }), label(`${count(most)} tokens`, WIDTH, HEIGHT - 4, 'axis-label', 'end'),
    );
    const half = Math.ceil(known.length / 2);
    const [first, second] = [known.slice(0, half), known.slice(half)].map((part) => milliseconds(median(part.map(({ ms }) => ms))));
    element('time-text').textContent = known.length < 4 ? 'The same at the end of a text as at its beginning.'
      : `${first} in the first half of the text, ${second} in the second. The first tokens, while the browser warms up, are left out.`;
  }
}

/** The least of 1, 2, 5, 10, 20, … that is no less. */
export function scaleFor(most: number): number {
  if (most <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(most));
  return Number((([1, 2, 5].find((step) => step * power >= most) ?? 10) * power).toPrecision(1));
}

/** All of an axis in one unit. */
function tick(ms: number, top: number): string {
  if (ms === 0) return '0';
  return top < 1 ? `${Number((ms * 1000).toPrecision(3))} µs` : `${ms} ms`;
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}
