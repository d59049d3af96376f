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
/** Tokens of which one point of the plot of times is the median: a pause of the page is not the model's. */
const BIN = 16;
const REDRAW_MS = 100;
/** Keys and values of a token take these bytes a number in a Transformer: fp16. */
const KV_BYTES = 2;

/** How the memory of a text and the time for a token go with its length, in two small plots. */
export class Plots {
  private model: PlotModel | undefined;
  private length = 0;
  private readonly bins: number[][] = [];
  private timer: number | undefined;

  setModel(model: PlotModel): void {
    this.model = model;
    this.reset();
  }

  reset(): void {
    this.length = 0;
    this.bins.length = 0;
    this.draw();
  }

  /** @param end length of the text with these tokens, which are its last ones. */
  add(tokens: readonly Token[], end: number): void {
    this.length = Math.max(this.length, end);
    tokens.forEach(({ ms }, n) => {
      const bin = Math.floor((end - tokens.length + n) / BIN);
      (this.bins[bin] ??= []).push(ms);
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
    const formula = `2 × ${layers} layers × ${count(hiddenSize)} channels × ${KV_BYTES} bytes (fp16)`;
    element('memory-text').textContent = `This model: ${bytes(stateBytes)}, however long the text. A Transformer of this size keeps ` +
      (this.length === 0 ? `${formula} for each token.` : `${formula} × ${count(this.length)} tokens = ${bytes(cache(this.length))}.`);
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
    const known = this.bins.flatMap((times, bin) => [{ bin, ms: median(times) }]); // the first ones, of the prompt, are not there
    const typical = median(known.map(({ ms }) => ms));
    const y = (ms: number): number => base - Math.min(1, ms / (2 * typical)) * (base - 4);
    const points = known.map(({ bin, ms }) => `${Math.min(WIDTH, ((bin + 0.5) * BIN * WIDTH) / most).toFixed(1)},${y(ms).toFixed(1)}`);
    element('time-plot').replaceChildren(
      shape('path', { class: 'axis', d: `M0 ${base}H${WIDTH}` }), shape('polyline', { class: 'time', points: points.join(' ') }),
      label('0', 0, height - 2, 'axis-label', 'start'), label(`${count(most)} tokens`, WIDTH, height - 2, 'axis-label', 'end'),
    );
    const half = Math.ceil(known.length / 2);
    const [first, second] = [known.slice(0, half), known.slice(half)].map((part) => milliseconds(median(part.map(({ ms }) => ms))));
    element('time-text').textContent = known.length < 4 ? 'The same at the end of a text as at its beginning.'
      : `${first} in the first half of the text, ${second} in the second.`;
  }
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
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
