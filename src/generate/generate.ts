import { missingPart } from '../errors.js';
import type { Model } from '../model/model.js';
import type { Tokenizer } from '../tokenizer/tokenizer.js';
import { Generation, type GenerationStart } from './generation.js';
import {
  emptyPrompt, GENERATE_OPTIONS, stopStrings, TEXT_OPTIONS, type GenerateIdsOptions, type GenerateOptions, type GenerateResult, type GenerateTokensOptions,
} from './options.js';
import type { Output } from './output.js';
import { TextPieces, type TokenPiece } from './text-pieces.js';

/** Where a text starts from, and what is done when it is over (a session takes note of what is unread). */
export interface TextStart extends Omit<GenerationStart, 'topLogprobs'> {
  /** Ids that end it, where the options do not say: those of an answer. */
  readonly eosTokenIds?: readonly number[] | undefined;
  /** Called for each id that is given out. */
  readonly onId?: (id: number) => void;
  /** Called when it is over, if it had begun, with the ids of the text that the state has not read. */
  readonly onClose?: (unread: readonly number[]) => void;
}

/** Tells where a text starts, when it does. @param what the caller's function. */
export type Start = (what: string, options: GenerateIdsOptions) => TextStart;

/** What comes out: text, ids, or tokens. */
export interface Kind<Options, Item> {
  /** The options that it takes. */
  readonly known: readonly string[];
  /** @param before ids of the text so far. @throws for a model without a tokenizer, if it needs one. */
  output(model: { readonly tokenizer: Tokenizer }, options: Options, before: ArrayLike<number>): Output<Item> | Promise<Output<Item>>;
}

/**
 * From nothing, or from `options.state`: the prompt is all that is known of the text.
 * @throws ArgumentError, beginning with `what`, for an empty prompt, an id out of range, another model's state.
 */
export function startOf(model: Model, prompt: ArrayLike<number>, { state = model.createState() }: GenerateIdsOptions, what = 'generate'): TextStart {
  if (prompt.length === 0) throw emptyPrompt(what);
  model.check(prompt, state, what);
  const text = Array.from(prompt); // which nobody changes meanwhile
  return { what, state, unread: text, text };
}

/**
 * Yields what `output` makes of ids chosen one after another, until an EOS id (which is not given out), a stop string or a limit.
 * @throws ArgumentError for an option or a prompt; the signal's reason when it is aborted.
 */
export async function* generateItems<Item>(
  model: Model, options: GenerateIdsOptions, start: TextStart, output: Output<Item>,
): AsyncGenerator<Item, GenerateResult, undefined> {
  const generation = new Generation(model, options, { ...start, topLogprobs: output.topLogprobs });
  try {
    while (output.stopString === undefined) {
      const token = await generation.next();
      if (!token) break;
      start.onId?.(token.id);
      yield* output.push(token);
    }
    yield* output.finish();
    return generation.result(output.stopString);
  } finally {
    try {
      generation.settle();
      start.onClose?.(generation.unread);
    } finally {
      generation.drafting?.close();
    }
  }
}

/** Bare ids: needs no tokenizer. */
export const IDS: Kind<GenerateIdsOptions, number> = { known: GENERATE_OPTIONS, output: () => ({ push: ({ id }) => [id], finish: () => [] }) };

/** Text, in pieces as soon as they are whole characters. */
export const TEXT = {
  known: TEXT_OPTIONS,
  output({ tokenizer }, { stop }, before): Output<string> {
    const pieces = new TextPieces(tokenizer, before, stopStrings(stop));
    const some = (text: string): string[] => (text === '' ? [] : [text]);
    return {
      get stopString() {
        return pieces.stopString;
      },
      push: ({ id }) => some(pieces.show(pieces.decode(id))),
      finish: () => some(pieces.finish().shown),
    };
  },
} satisfies Kind<GenerateOptions, string>;

/** Tokens, with their text and log-probabilities. */
export const TOKENS: Kind<GenerateTokensOptions, TokenPiece> = {
  known: [...TEXT_OPTIONS, 'topLogprobs'],
  output: async ({ tokenizer }, options, before) => (await import('./token-pieces.js').catch(missingPart)).tokenOutput(tokenizer, options, before),
};
