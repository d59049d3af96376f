import { element } from './page.js';

/** Words that are so far below the buttons are still where the reader is. */
const NEAR = 120;
const MARGIN = 24;

/** The buttons, and what is said above them, stay in sight; what is scrolled to is not to lie behind them. */
export function watchDock(): void {
  new ResizeObserver(([entry]) => {
    document.documentElement.style.scrollPaddingBlock = `${Math.ceil(entry!.borderBoxSize[0]!.blockSize) + MARGIN}px`;
  }).observe(element('dock'));
}

/** Keeps the end of what is being written in sight, unless its reader has gone elsewhere. */
export function follow(written: HTMLElement): void {
  const bottom = written.getBoundingClientRect().bottom;
  const edge = element('dock').getBoundingClientRect().top;
  if (bottom > edge && bottom < edge + NEAR) scrollBy(0, bottom - edge + MARGIN);
}

/**
 * As `follow`, for an answer that may come fast: as much of it as fits is in sight, with its beginning.
 * @param whole what was said, and the answer. @param isFree whether its reader has gone nowhere else since it was asked for.
 */
export function followAnswer(whole: HTMLElement, isFree: boolean): void {
  follow(whole);
  if (!isFree) return;
  const { top, bottom } = whole.getBoundingClientRect();
  const by = Math.min(top - MARGIN, bottom - element('dock').getBoundingClientRect().top + MARGIN);
  if (by > 0) scrollBy(0, by);
}
