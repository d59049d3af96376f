import { ArgumentError, show } from '../errors.js';
import type { Model } from '../model/model.js';
import { checkNumber, checkTextOrIds, givenOptions } from '../options.js';
import { Pace } from '../platform/pace.js';
import { checkSamplerOptions, pickSamplingOptions } from '../sampling/sampling-options.js';
import type { Tokenizer } from '../tokenizer/tokenizer.js';
import { BatchRun } from './batch-run.js';
import { BatchSequence, type SequenceResult, type SequenceText } from './batch-sequence.js';
import { TEXT } from './generate.js';
import { checkLimits, emptyPrompt, GENERATE_OPTIONS, stopStrings, type GenerateOptions } from './options.js';
import { isMessages, type Prompt } from './prompt.js';
import type { PrefixCache } from './prefix-cache.js';
import { checkPrefixCache } from './prefix-option.js';

/** Options of one text of a batch: as `generate`, but it has a state of its own, and there are no guesses. */
export type BatchTextOptions = Omit<GenerateOptions, 'state' | 'speculate' | 'draftModel' | 'signal' | 'prefixCache'>;

/** A prompt, as text, ids or messages, and options for it that go before those for all. */
export type BatchPrompt = Prompt | ({ readonly prompt: Prompt } & BatchTextOptions);

/** Options of `generateBatch`. `seed` is that of the first text, the second has `seed + 1`, and so on. */
export interface BatchOptions extends BatchTextOptions {
  /** Texts at work at the same time, 1 to 64; default 16. As one ends, the next begins. */
  readonly batchSize?: number | undefined;
  /** Called with each piece of text, as soon as it can be shown, and the index of its prompt. */
  readonly onPiece?: ((text: string, index: number) => void) | undefined;
  readonly prefixCache?: PrefixCache | undefined;
  /** Stops everything; the call rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

export interface BatchResult extends SequenceResult {
  /** '' for a model without a tokenizer. */
  readonly text: string;
}

/** One text of a batch, checked. */
export interface BatchText extends SequenceText {
  readonly options: BatchTextOptions;
}

const NOT_IN_A_BATCH = ['state', 'speculate', 'draftModel', 'signal', 'prefixCache'];
const TEXT_OPTIONS = [...GENERATE_OPTIONS.filter((key) => !NOT_IN_A_BATCH.includes(key)), 'stop'];
export const BATCH_OPTIONS: readonly string[] = [...TEXT_OPTIONS, 'batchSize', 'onPiece', 'signal', 'prefixCache'];
const DEFAULT_BATCH_SIZE = 16;
const MAX_BATCH_SIZE = 64;

/** Prompt and options of each text. @throws ArgumentError for what is no prompt. */
export function batchTexts(prompts: readonly BatchPrompt[], options: BatchOptions): { prompt: Prompt; options: BatchTextOptions }[] {
  if (!Array.isArray(prompts)) throw new ArgumentError(`generateBatch: the prompts are ${show(prompts)}, not a list`);
  const { batchSize: _batchSize, onPiece: _onPiece, signal: _signal, prefixCache: _prefixCache, ...shared } = options;
  const { seed } = shared;
  return prompts.map((each: BatchPrompt, index) => {
    const what = `generateBatch: prompt ${index}`;
    const hasOptions = typeof each === 'object' && each !== null && 'prompt' in each;
    const { prompt, ...own } = hasOptions ? each : { prompt: each };
    if (!isMessages(prompt)) checkTextOrIds(what, prompt);
    return { prompt, options: { ...shared, ...(typeof seed === 'number' ? { seed: seed + index } : {}), ...givenOptions(what, own, TEXT_OPTIONS) } };
  });
}

/**
 * Continues several texts at the same time: each step reads the weights once for all of them. Each text is the same, bit for bit, as alone.
 * @throws ArgumentError for an option or a prompt, before anything has run; the signal's reason.
 */
export async function generateBatch(
  model: Model, tokenizer: Tokenizer | undefined, texts: readonly BatchText[], options: BatchOptions,
): Promise<BatchResult[]> {
  const { signal, prefixCache, onPiece } = options;
  const batchSize = checkNumber('batchSize', options.batchSize ?? DEFAULT_BATCH_SIZE, 1, MAX_BATCH_SIZE, 'whole');
  checkPrefixCache(prefixCache, model.createState());
  texts.forEach((text, index) => checkText(model, text, `generateBatch: prompt ${index}`));
  const pace = new Pace(signal);
  const results: BatchResult[] = [];
  const run = new BatchRun(model, Boolean(prefixCache));
  let next = 0;
  try {
    for (;;) {
      while (run.size < batchSize && next < texts.length) {
        const index = next++;
        const { ids, options: own } = texts[index]!;
        let text = '';
        run.add(new BatchSequence(model, texts[index]!, {
          what: 'generateBatch', prefixCache,
          output: tokenizer && TEXT.output({ tokenizer }, own, ids),
          onItem(piece: string) {
            text += piece;
            onPiece?.(piece, index);
          },
          onEnd: (result) => void (results[index] = { text, ...result }),
        }));
      }
      for (const { error } of run.takeEnded()) if (error !== undefined) throw error;
      if (run.size === 0 && next === texts.length) return results;
      await pace.giveWay();
      run.pass();
    }
  } finally {
    run.close();
  }
}

/** @throws ArgumentError, beginning with `what`, for a prompt that the model does not take, or for an option. */
export function checkText(model: Model, { ids, options }: SequenceText, what: string): void {
  const { config } = model.parts;
  if (ids.length === 0) throw emptyPrompt(what);
  model.check(ids, model.createState(), what);
  stopStrings(options.stop);
  checkLimits(options, config);
  checkSamplerOptions(config.vocabSize, { seed: 0, ...pickSamplingOptions(options) });
}
