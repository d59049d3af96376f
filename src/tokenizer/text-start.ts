import type { Growth } from './growth.js';

/** The beginning of an input on its way through the steps of a pipeline. */
export interface TextStart {
  /** The input goes on from an earlier text: its beginning gets no prefix. */
  readonly continues: boolean;
  /** How many characters of the text stand for the input's first one: none once a step has taken that away (Metaspace's `first`). */
  first: number;
}

export function startOf(continues: boolean): TextStart {
  return { continues, first: 1 };
}

/** `removed` characters at the beginning became `added` others. */
export function replaceFirst(start: TextStart | undefined, removed: number, added: number): void {
  if (start === undefined) return;
  // As in the reference what is put in counts as a part of the last character that it replaces.
  start.first = removed <= start.first ? start.first - removed + added : 0;
}

/** A normalizer within a chain. */
export type TextStep = (text: string, growth: Growth, start?: TextStart) => string;
