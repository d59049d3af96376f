import { checkNumber } from '../options.js';
import type { Model } from '../model/model.js';
import type { Tokenizer } from '../tokenizer/tokenizer.js';
import { Generation, type GenerationStart } from './generation.js';
import { GENERATE_OPTIONS, stopStrings, type GenerateIdsOptions, type GenerateOptions, type GenerateResult } from './options.js';
import { TextPieces, TokenQueue, type TokenPiece } from './text-pieces.js';

/** Options of `generateTokens`. */
export interface GenerateTokensOptions extends GenerateOptions {
  /** How many of the most probable tokens to tell at each place, up to 100; default 0. */
  readonly topLogprobs?: number;
}

/** Where a text starts from, and what is done when it is over (a session takes note of what is unread). */
export interface TextStart extends Omit<GenerationStart, 'what' | 'known' | 'topLogprobs'> {
  /** Called when the generation has begun: options were right. */
  readonly onOpen?: () => void;
  /** Called for each id that is given out. */
  readonly onId?: (id: number) => void;
  /** Called when it is over, with the ids of the text that the state has not read. */
  readonly onClose?: (unread: readonly number[]) => void;
}

const MAX_TOP_LOGPROBS = 100;
const TEXT_OPTIONS = [...GENERATE_OPTIONS, 'stop'];
const TOKEN_OPTIONS = [...TEXT_OPTIONS, 'topLogprobs'];

/** From nothing, or from `options.state`: the prompt is all that is known of the text. */
export function startOf(model: Model, prompt: ArrayLike<number>, { state }: GenerateIdsOptions): TextStart {
  return { state: state ?? model.createState(), unread: prompt, text: prompt };
}

/**
 * Yields ids chosen one after another, until an EOS id (which is not yielded) or a limit.
 * @throws ArgumentError for an option or a prompt; the signal's reason when it is aborted.
 */
export async function* generateIds(
  model: Model, options: GenerateIdsOptions, start: TextStart,
): AsyncGenerator<number, GenerateResult, undefined> {
  const generation = new Generation(model, options, { ...start, what: 'generateIds', known: GENERATE_OPTIONS });
  start.onOpen?.();
  try {
    for (let token = await generation.next(); token; token = await generation.next()) {
      start.onId?.(token.id);
      yield token.id;
    }
    return generation.result();
  } finally {
    generation.close();
    start.onClose?.(generation.unread);
  }
}

/** As `generateIds`, with text coming out: pieces as soon as they are whole characters. */
export async function* generateText(
  model: Model, tokenizer: Tokenizer, options: GenerateOptions, start: TextStart,
): AsyncGenerator<string, GenerateResult, undefined> {
  const generation = new Generation(model, options, { ...start, what: 'generate', known: TEXT_OPTIONS });
  const pieces = new TextPieces(tokenizer, start.text, stopStrings(options.stop));
  start.onOpen?.();
  try {
    while (pieces.stopString === undefined) {
      const token = await generation.next();
      if (!token) break;
      start.onId?.(token.id);
      const shown = pieces.show(pieces.decode(token.id));
      if (shown !== '') yield shown;
    }
    const { shown } = pieces.finish();
    if (shown !== '') yield shown;
    return generation.result(pieces.stopString);
  } finally {
    generation.close();
    start.onClose?.(generation.unread);
  }
}

/**
 * As `generateText`, with each token's id, text and log-probability. A token comes as soon as all of its text can be shown; one that may
 * end within a character comes with the next.
 */
export async function* generateTokens(
  model: Model, tokenizer: Tokenizer, options: GenerateTokensOptions, start: TextStart,
): AsyncGenerator<TokenPiece, GenerateResult, undefined> {
  const topLogprobs = checkNumber('topLogprobs', options.topLogprobs ?? 0, 0, MAX_TOP_LOGPROBS, 'whole');
  const generation = new Generation(model, options, { ...start, what: 'generateTokens', known: TOKEN_OPTIONS, topLogprobs });
  const pieces = new TextPieces(tokenizer, start.text, stopStrings(options.stop));
  const queue = new TokenQueue(tokenizer);
  start.onOpen?.();
  try {
    while (pieces.stopString === undefined) {
      const token = await generation.next();
      if (!token) break;
      start.onId?.(token.id);
      const text = pieces.decode(token.id);
      queue.push(token, text);
      yield* queue.release(pieces.show(text).length);
    }
    const { last, shown } = pieces.finish();
    yield* queue.finish(last, shown.length);
    return generation.result(pieces.stopString);
  } finally {
    generation.close();
    start.onClose?.(generation.unread);
  }
}
