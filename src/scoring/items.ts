import { ArgumentError, FormatError, messageOf, show, type MatMulFreeError } from '../errors.js';

/** Which of `choices` is the right one to follow `context`? */
export interface ChoicesItem {
  readonly context: string;
  /** Without the space before them. */
  readonly choices: readonly string[];
  /** Index of the right one, from 0. */
  readonly label: number;
}

/** After which of `contexts` is `continuation` the right one to follow? */
export interface ContextsItem {
  readonly contexts: readonly string[];
  readonly continuation: string;
  readonly label: number;
}

/** Does greedy decoding give the target? With `text` alone, that is its last word: what follows the last space. */
export type LastWordItem = { readonly text: string } | { readonly context: string; readonly target: string };

export type TaskItem = ChoicesItem | ContextsItem | LastWordItem;

export type TaskKind = 'choices' | 'contexts' | 'last-word';

const FORMS = '{"context", "choices", "label"}, {"contexts", "continuation", "label"}, {"context", "target"} or {"text"}';

/** Finds out what an item is. Keys beside those it needs are not looked at. @throws what `fail` makes of a complaint. */
export function checkItem(value: unknown, fail: (problem: string) => MatMulFreeError): TaskKind {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw fail(`is ${show(value)}, not one of ${FORMS}`);
  const item = value as Record<string, unknown>;
  const isText = (text: unknown): text is string => typeof text === 'string';
  const requireText = (key: string, mayBeEmpty: boolean): void => {
    const text = item[key];
    if (!isText(text) || (text === '' && !mayBeEmpty)) throw fail(`"${key}" is ${show(text)}, not a string${mayBeEmpty ? '' : ' of at least one character'}`);
  };
  const requireTexts = (key: string, mayBeEmpty: boolean): void => {
    const texts = item[key];
    if (!Array.isArray(texts) || texts.length < 2 || !texts.every(isText)) throw fail(`"${key}" is ${show(texts)}, not a list of at least two strings`);
    if (!mayBeEmpty && texts.includes('')) throw fail(`"${key}" has an empty string, at ${texts.indexOf('')}`);
    const { label } = item;
    if (!(Number.isInteger(label) && (label as number) >= 0 && (label as number) < texts.length)) {
      throw fail(`"label" is ${show(label)}, not a whole number from 0 to ${texts.length - 1}: the index of the right one in "${key}"`);
    }
  };
  const found = (['choices', 'contexts', 'target', 'text'] as const).filter((key) => key in item);
  if (found.length !== 1) {
    throw fail(found.length === 0 ? `has none of the keys it needs: ${FORMS}` : `has both "${found[0]}" and "${found[1]}"; it takes ${FORMS}`);
  }
  switch (found[0]!) {
    case 'choices':
      requireText('context', true);
      requireTexts('choices', false);
      return 'choices';
    case 'contexts':
      requireText('continuation', false);
      requireTexts('contexts', true);
      return 'contexts';
    case 'target':
      requireText('context', true);
      requireText('target', false);
      return 'last-word';
    case 'text':
      requireText('text', false);
      if ((item['text'] as string).endsWith(' ')) throw fail('"text" ends in a space, so that it has no last word');
      return 'last-word';
  }
}

/**
 * Reads a task in JSON Lines: an item a line, all of one kind; empty lines are skipped.
 * @param file its name in messages.
 * @throws FormatError that names file and line; ArgumentError for what is no text.
 */
export function parseTask(text: string, file: string): TaskItem[] {
  if (typeof text !== 'string') throw new ArgumentError(`parseTask: got ${show(text)}, not the text of a task`);
  if (typeof file !== 'string') throw new ArgumentError(`parseTask: the file's name is ${show(file)}, not a text`);
  const items: TaskItem[] = [];
  let first: { kind: TaskKind; line: number } | undefined;
  for (const [n, content] of text.replace(/^\ufeff/, '').split('\n').entries()) {
    if (content.trim() === '') continue;
    const line = n + 1;
    const fail = (problem: string): FormatError => new FormatError(`${file}: line ${line}: ${problem}`);
    let value: unknown;
    try {
      value = JSON.parse(content);
    } catch (error) {
      throw fail(`broken JSON: ${messageOf(error)}`);
    }
    const kind = checkItem(value, (problem) => fail(`the item ${problem}`));
    first ??= { kind, line };
    if (kind !== first.kind) throw fail(`the item is of the kind ${kind}, that of line ${first.line} of the kind ${first.kind}; make two files of them`);
    items.push(value as TaskItem);
  }
  if (items.length === 0) throw new FormatError(`${file}: has no items; each line must be one: ${FORMS}`);
  return items;
}
