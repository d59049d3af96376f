import type { MatMulFreeWorker } from 'matmulfree/worker';
import type { LoadedModel } from './models.js';
import { element } from './page.js';
import type { Plots } from './plots.js';
import type { Rate } from './rate.js';

/** What a model is used for on this page: stories or a conversation. */
export interface Mode {
  readonly name: 'story' | 'chat';
  /** Tokens that the model writes at most, if nothing else is set. */
  readonly length: number;
  /** What the button of the form does. */
  submit(): void;
  /** Forgets everything. */
  clear(): Promise<void>;
  /** Goes on with the same model, loaded once more. */
  moveTo(lm: MatMulFreeWorker): Promise<void>;
}

/** What both have of the page. */
export interface Page {
  readonly plots: Plots;
  readonly rate: Rate;
  /** The model; loaded once more if that was cancelled or has failed. Undefined if it fails again. */
  model(): Promise<LoadedModel | undefined>;
  /** Tells of an error, and offers to load the model again if it has died. */
  showError(error: unknown): void;
}

/** Shows the parts of the page that belong to it, and no others. */
export function showMode({ name, length }: Mode): void {
  for (const part of document.querySelectorAll<HTMLElement>('[data-mode]')) part.hidden = part.dataset['mode'] !== name;
  const field = element<HTMLInputElement>('length');
  field.defaultValue = field.value = String(length);
  document.title = `${name === 'story' ? 'A story' : 'A conversation'} without multiplication · matmulfree`;
}
