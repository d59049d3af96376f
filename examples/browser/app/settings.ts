import { element } from './page.js';
import type { Writing } from './story.js';

/** Small enough to be read out and typed. */
const MOST_SEED = 10_000;

/** What the controls say, within their limits. Numbers that are none are as if the field had not been touched. */
export function readSettings(): Writing {
  return {
    options: {
      temperature: number('temperature'), topP: number('top-p'), minP: number('min-p'), repetitionPenalty: number('repetition'),
      seed: number('seed'), maxNewTokens: number('length'),
    },
    pace: Number(element<HTMLSelectElement>('pace').value),
  };
}

/** Another story the next time, unless the seed is to be kept. */
export function nextSeed(): void {
  if (element<HTMLInputElement>('keep-seed').checked) return;
  element<HTMLInputElement>('seed').value = String(Math.floor(Math.random() * MOST_SEED));
}

/** Keeps what is shown of the controls right. A field that cannot be used is put right at once: it may be where nobody sees it. */
export function watchSettings(): void {
  for (const id of ['top-p', 'min-p', 'repetition', 'seed', 'length']) {
    element<HTMLInputElement>(id).addEventListener('change', ({ target }) => {
      (target as HTMLInputElement).value = String(number(id));
    });
  }
  const shown = element<HTMLOutputElement>('temperature-shown');
  element('temperature').addEventListener('input', () => {
    const value = number('temperature');
    shown.value = value === 0 ? '0, always the most probable' : String(value);
  });
}

function number(id: string): number {
  const input = element<HTMLInputElement>(id);
  const value = input.valueAsNumber;
  const usable = Number.isFinite(value) ? value : Number(input.defaultValue);
  const within = Math.min(Number(input.max), Math.max(Number(input.min), usable));
  return input.step === '1' ? Math.trunc(within) : within;
}
