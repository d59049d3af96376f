import type { Progress } from 'matmulfree/worker';
import { announce, element } from './page.js';
import { bytes, duration } from './words.js';

/** The rate of a download is that of the last seconds. */
const WINDOW_MS = 4000;
/** What takes less is not shown: it would only make the page jump. */
const PATIENCE_MS = 400;

/** Tells how far a model is on its way: what is there, how fast it comes, how long it takes. */
export class LoadingBar {
  private readonly samples: { readonly at: number; readonly loaded: number }[] = [];
  private file = '';
  private timer: number | undefined;
  /** Quarters of a file that have been said. */
  private quarters = 0;

  start(name: string): void {
    this.samples.length = 0;
    element('loading-text').textContent = `Opening ${name}…`;
    element<HTMLProgressElement>('loading-bar').removeAttribute('value');
    this.timer ??= window.setTimeout(() => {
      element('loading').hidden = false;
      announce(element('loading-text').textContent ?? '');
    }, PATIENCE_MS);
  }

  show({ stage, file, loaded, total }: Progress): void {
    const bar = element<HTMLProgressElement>('loading-bar');
    if (total > 0) bar.value = loaded / total;
    else bar.removeAttribute('value');
    if (stage === 'download' && total > 0) this.say(Math.floor((4 * loaded) / total));
    element('loading-text').textContent = stage === 'download' ? this.download(file, loaded, total) : {
      connect: 'Waiting for the server…', verify: `Checking ${file}…`, offline: 'The network cannot be reached: looking at what is here…', load: `Loading ${file}…`, convert: `Packing ${file}…`,
    }[stage];
  }

  end(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    element('loading').hidden = true;
  }

  /** The text changes many times a second; people who listen are told of quarters. */
  private say(quarters: number): void {
    const isNew = quarters > this.quarters && !element('loading').hidden;
    this.quarters = quarters;
    if (isNew && quarters < 4) announce(`${25 * quarters} %`);
  }

  private download(file: string, loaded: number, total: number): string {
    const now = performance.now();
    if (file !== this.file) this.samples.length = 0;
    this.file = file;
    this.samples.push({ at: now, loaded });
    while (this.samples[0]!.at < now - WINDOW_MS) this.samples.shift();
    const first = this.samples[0]!;
    const rate = (loaded - first.loaded) / ((now - first.at) / 1000);
    const isKnown = now - first.at > 300 && rate > 0;
    const parts = [`Fetching ${file}: ${bytes(loaded)}${total > 0 ? ` of ${bytes(total)}` : ''}`];
    if (isKnown) parts.push(`${bytes(rate)}/s`);
    if (isKnown && total > loaded) parts.push(`${duration((total - loaded) / rate)} left`);
    return parts.join(' · ');
  }
}
