import { element } from './page.js';
import { label, LEFT, rule, shape, WIDTH } from './svg.js';
import { Times, type TokenTime } from './times.js';
import { bytes, count } from './words.js';

/** What the plots need to know of a model. */
export interface PlotModel {
  readonly layers: number;
  readonly hiddenSize: number;
  /** Of this model's state: what does not grow, and what it takes for each token, if it has attention. */
  readonly stateBytes: number;
  readonly stateBytesPerToken: number;
}

const FIRST_TOKENS = 256;
const REDRAW_MS = 100;
/** Keys and values of a token take these bytes a number in a Transformer: fp16. */
const KV_BYTES = 2;
const [HEIGHT, TOP, BASE] = [96, 16, 78];

/** How the memory of a text and the time for a token go with its length, in two small plots. */
export class Plots {
  private readonly times = new Times();
  private model: PlotModel | undefined;
  private length = 0;
  private timer: number | undefined;

  setModel(model: PlotModel): void {
    this.model = model;
    this.reset();
  }

  reset(): void {
    this.length = 0;
    this.times.reset();
    this.draw();
  }

  /** @param end length of the text with these tokens, which are its last ones. */
  add(tokens: readonly TokenTime[], end: number): void {
    this.length = Math.max(this.length, end);
    this.times.add(tokens, end);
    this.timer ??= window.setTimeout(() => {
      this.timer = undefined;
      this.draw();
    }, REDRAW_MS);
  }

  private draw(): void {
    if (!this.model) return;
    const most = FIRST_TOKENS * 2 ** Math.max(0, Math.ceil(Math.log2(this.length / FIRST_TOKENS)));
    this.drawMemory(this.model, most);
    this.times.draw(most);
  }

  private drawMemory({ layers, hiddenSize, stateBytes, stateBytesPerToken }: PlotModel, most: number): void {
    const perToken = stateBytesPerToken || 2 * layers * hiddenSize * KV_BYTES;
    const x = LEFT + (this.length / most) * (WIDTH - LEFT);
    const y = (value: number): number => BASE - (value / (perToken * most)) * (BASE - TOP);
    const [now, flat] = [y(perToken * this.length), y(stateBytes)];
    const cache = bytes(perToken * this.length);
    const kv = this.length === 0 ? [] : [
      shape('path', { class: 'kv-area', d: `M${LEFT} ${BASE}L${x} ${now}L${x} ${BASE}Z` }), shape('path', { class: 'kv', d: `M${LEFT} ${BASE}L${x} ${now}` }),
      shape('circle', { class: 'kv-dot', cx: x, cy: now, r: 2.5 }),
      label(cache, x, now - 7, 'kv-label', x < LEFT + 30 ? 'start' : x > WIDTH - 30 ? 'end' : 'middle'), // kept within the plot
    ];
    element('memory-plot').replaceChildren(
      rule(BASE), ...kv, shape('path', { class: 'state', d: `M${LEFT} ${flat}H${Math.max(x, LEFT + 1)}` }),
      shape('circle', { class: 'state-dot', cx: Math.max(x, LEFT + 1), cy: flat, r: 2.5 }),
      label(bytes(stateBytes), LEFT - 6, flat + 3.5, 'state-label', 'end'), label(`${count(most)} tokens`, WIDTH, HEIGHT - 4, 'axis-label', 'end'),
    );
    const grown = this.length === 0 ? '.' : `: ${cache} for ${count(this.length)} tokens.`;
    element('memory-text').textContent = stateBytesPerToken > 0
      ? `This model has attention, and keeps ${bytes(perToken)} for each token${grown}${stateBytes > 0 ? ` Its recurrent layers keep ${bytes(stateBytes)}, however long the text.` : ''}`
      : `This model: ${bytes(stateBytes)}, however long the text. A Transformer of this size keeps ${bytes(perToken)} ` +
        `for each token (2 × ${layers} layers × ${count(hiddenSize)} channels × ${KV_BYTES} bytes)${grown}`;
  }
}
