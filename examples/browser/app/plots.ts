import { element } from './page.js';
import type { Token } from './strand.js';
import { bytes, count, milliseconds } from './words.js';

/** What the plots need to know of a model. */
export interface PlotModel {
  readonly layers: number;
  readonly hiddenSize: number;
  /** Of this model's state. */
  readonly stateBytes: number;
}

const WIDTH = 240;
const FIRST_TOKENS = 256;
/** Tokens of which one point of the plot of times is the mean. */
const BIN = 8;
const REDRAW_MS = 100;
/** Keys and values of a token take these bytes a number in a Transformer: fp16. */
const KV_BYTES = 2;

/** How the memory of a text and the time for a token go with its length, in two small plots. */
export class Plots {
  private model: PlotModel | undefined;
  private length = 0;
  private readonly sums: number[] = [];
  private readonly counts: number[] = [];
  private timer: number | undefined;

  setModel(model: PlotModel): void {
    this.model = model;
    this.reset();
  }

  reset(): void {
    this.length = 0;
    this.sums.length = 0;
    this.counts.length = 0;
    this.draw();
  }

  /** @param end length of the text with these tokens, which are its last ones. */
  add(tokens: readonly Token[], end: number): void {
    this.length = Math.max(this.length, end);
    tokens.forEach(({ ms }, n) => {
      const bin = Math.floor((end - tokens.length + n) / BIN);
      this.sums[bin] = (this.sums[bin] ?? 0) + ms;
      this.counts[bin] = (this.counts[bin] ?? 0) + 1;
    });
    this.timer ??= window.setTimeout(() => {
      this.timer = undefined;
      this.draw();
    }, REDRAW_MS);
  }

  private draw(): void {
    if (!this.model) return;
    const { layers, hiddenSize, stateBytes } = this.model;
    const most = FIRST_TOKENS * 2 ** Math.max(0, Math.ceil(Math.log2(this.length / FIRST_TOKENS)));
    const cache = (tokens: number): number => 2 * layers * hiddenSize * KV_BYTES * tokens;
    this.drawMemory(most, cache(this.length), cache(most), stateBytes);
    element('memory-text').textContent =
      `This model: ${bytes(stateBytes)}, however long the text. A Transformer of this size keeps 2 × ${layers} layers × ${count(hiddenSize)} × ${KV_BYTES} bytes ` +
      `for each token${this.length === 0 ? '' : `: ${bytes(cache(this.length))} for these ${count(this.length)}`}.`;
    this.drawTimes(most);
  }

  private drawMemory(most: number, now: number, top: number, state: number): void {
    const [height, base] = [96, 82];
    const x = (this.length / most) * WIDTH;
    const y = (value: number): number => base - (value / top) * (base - 16);
    const kv = x === 0 ? [] : [
      shape('path', { class: 'kv-area', d: `M0 ${base}L${x} ${y(now)}L${x} ${base}Z` }), shape('path', { class: 'kv', d: `M0 ${base}L${x} ${y(now)}` }),
      shape('circle', { class: 'kv-dot', cx: x, cy: y(now), r: 2.5 }), label(bytes(now), x, y(now) - 7, 'kv-label'),
    ];
    const flat = y(state);
    element('memory-plot').replaceChildren(
      shape('path', { class: 'axis', d: `M0 ${base}H${WIDTH}` }), ...kv, shape('path', { class: 'state', d: `M0 ${flat}H${Math.max(x, 1)}` }),
      shape('circle', { class: 'state-dot', cx: Math.max(x, 1), cy: flat, r: 2.5 }),
      label(bytes(state), 0, height - 2, 'state-label', 'start'), label(`${count(most)} tokens`, WIDTH, height - 2, 'axis-label', 'end'),
    );
  }

  private drawTimes(most: number): void {
    const [height, base] = [56, 44];
    const means = this.sums.map((sum, bin) => sum / this.counts[bin]!);
    const known = means.filter((mean) => mean !== undefined).sort((a, b) => a - b);
    const typical = known[Math.floor(known.length / 2)] ?? 0;
    // Twice the median and no more: a pause of the page is not the model's.
    const y = (mean: number): number => base - Math.min(1, mean / (2 * typical || 1)) * (base - 4);
    const points = means.map((mean, bin) => `${Math.min(WIDTH, ((bin + 0.5) * BIN * WIDTH) / most).toFixed(1)},${y(mean).toFixed(1)}`).filter((_, bin) => bin in means);
    element('time-plot').replaceChildren(
      shape('path', { class: 'axis', d: `M0 ${base}H${WIDTH}` }), shape('polyline', { class: 'time', points: points.join(' ') }),
      label('0', 0, height - 2, 'axis-label', 'start'), label(`${count(most)} tokens`, WIDTH, height - 2, 'axis-label', 'end'),
    );
    element('time-text').textContent = typical === 0 ? 'The same at the end of a text as at its beginning.'
      : `${milliseconds(typical)} for each, at the end of the text as at its beginning.`;
  }
}

function shape(name: string, attributes: Record<string, string | number>, text = ''): SVGElement {
  const made = document.createElementNS('http://www.w3.org/2000/svg', name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
  made.textContent = text;
  return made;
}

/** Kept within the plot: above the middle it ends at `x`, elsewhere it begins or lies around it. */
function label(text: string, x: number, y: number, className: string, anchor = x < 30 ? 'start' : x > WIDTH - 30 ? 'end' : 'middle'): SVGElement {
  return shape('text', { class: className, x, y: Math.max(9, y), 'text-anchor': anchor }, text);
}
