import { ArgumentError } from '../errors.js';
import type { Model } from '../model/model.js';
import type { ModelState } from '../model/state.js';
import { exp } from '../platform/numeric.js';
import { checkNumber, checkTextOrIds, givenOptions } from '../options.js';
import { Pace } from '../platform/pace.js';
import type { Tokenizer } from '../tokenizer/tokenizer.js';
import { SPACE } from './continuations.js';
import { Lanes } from './lanes.js';
import { logProbability } from '../sampling/logprobs.js';
import { encodeStream, type EncodedPiece } from './text-stream.js';

/** A text as it is, in pieces (a file that is read), or as token ids. */
export type PerplexityInput = string | AsyncIterable<string> | ArrayLike<number>;

export interface PerplexityOptions {
  /**
   * Predict each token from at most so many - 1 before it, as Transformers with a window do (at least 2); default: from all before it,
   * for the state runs on.
   */
  readonly context?: number | undefined;
  /** By how many tokens the window moves, from 1 to `context`, which is the default; smaller ones leave more context, and take longer. */
  readonly stride?: number | undefined;
  readonly onProgress?: ((progress: PerplexityProgress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface PerplexityProgress {
  /** Tokens predicted so far. */
  readonly tokens: number;
  /** UTF-8 bytes of the text so far, about; 0 for ids. */
  readonly bytes: number;
}

/** How well a model predicts a long text. Logarithms are natural, but for the bits. */
export interface Perplexity {
  /** Tokens that were predicted: all but those at the start of a window of which no context is known. */
  readonly tokens: number;
  /** Negative log-likelihood, summed over them. */
  readonly nll: number;
  /** exp(nll / tokens): depends on the tokenizer, unlike those below. */
  readonly perplexity: number;
  /** Figures per byte and word of the text; undefined for ids. */
  readonly text: TextFigures | undefined;
}

/** As EleutherAI's lm-evaluation-harness defines them. */
export interface TextFigures {
  /** In UTF-8. */
  readonly bytes: number;
  /** What white space separates: one more than there are runs of it. */
  readonly words: number;
  /** nll / bytes / ln 2 */
  readonly bitsPerByte: number;
  /** exp(nll / bytes) */
  readonly bytePerplexity: number;
  /** exp(nll / words) */
  readonly wordPerplexity: number;
}

/**
 * The perplexity of a long text, in memory that does not grow with it (but for a text that is given as one string). Without `context` in one
 * pass; with `context` and `stride` in the overlapping windows of the page "Perplexity of fixed-length models" of the Hugging Face transformers
 * documentation, each token being predicted once, in the first window that has it.
 * @throws ArgumentError for fewer than two tokens, an id out of range, an option; what reading the text throws; the signal's reason.
 */
export async function measurePerplexity(
  model: Model, tokenizer: () => Tokenizer, input: PerplexityInput, options: PerplexityOptions = {},
): Promise<Perplexity> {
  const given = givenOptions('perplexity', options, ['context', 'stride', 'onProgress', 'signal']);
  const { onProgress, signal } = given;
  const pace = new Pace(signal);
  const predictor = choosePredictor(model, given);
  const pieces = piecesOf(model, tokenizer, input);
  const counts = isIds(input) ? undefined : new TextCounts();
  try {
    for await (const { text, ids } of pieces) {
      const before = counts?.bytes ?? 0;
      counts?.add(text);
      const bytes = (counts?.bytes ?? 0) - before;
      for (let n = 0; n < ids.length; n++) {
        if (predictor.push(ids[n]!)) {
          await predictor.run(pace);
          onProgress?.({ tokens: predictor.tokens, bytes: before + Math.round((bytes * (n + 1)) / ids.length) });
        }
      }
    }
    await predictor.finish(pace);
  } finally {
    predictor.close();
  }
  const { tokens, nll } = predictor;
  if (tokens === 0) throw new ArgumentError('perplexity: the text has fewer than two tokens, the second is the first to be predicted');
  onProgress?.({ tokens, bytes: counts?.bytes ?? 0 });
  return { tokens, nll, perplexity: exp(nll / tokens), text: counts?.figures(nll) };
}

function isIds(input: PerplexityInput): input is ArrayLike<number> {
  return typeof input !== 'string' && !(Symbol.asyncIterator in input);
}

function piecesOf(
  model: Model, tokenizer: () => Tokenizer, input: PerplexityInput,
): AsyncIterable<EncodedPiece> | Iterable<{ text: string; ids: ArrayLike<number> }> {
  if (typeof input === 'string') return [{ text: input, ids: tokenizer().encode(input) }];
  if (typeof input !== 'object' || input === null || isIds(input)) checkTextOrIds('perplexity: the text', input);
  if (!isIds(input)) return encodeStream(tokenizer(), input);
  model.check(input, model.createState(), 'perplexity', 0); // windows are of any text
  return [{ text: '', ids: input }];
}

function choosePredictor(model: Model, { context, stride }: PerplexityOptions): Predictor {
  if (context === undefined) {
    if (stride !== undefined) throw new ArgumentError('option stride needs the option context: how long the windows are');
    return new Streaming(model);
  }
  const length = checkNumber('context', context, 2, MAX_CONTEXT, 'whole');
  return new Windows(model, length, checkNumber('stride', stride ?? length, 1, length, 'whole'));
}

/** Longest window: its ids are held in memory. */
const MAX_CONTEXT = 2 ** 24;

/** Takes ids one by one and predicts them. */
interface Predictor {
  readonly tokens: number;
  readonly nll: number;
  /** @returns whether it is time to `run`. */
  push(id: number): boolean;
  run(pace: Pace): Promise<void>;
  /** Predicts what is left. */
  finish(pace: Pace): Promise<void>;
  /** Lets go of states. */
  close(): void;
}

/** The state runs on from the first token to the last. */
class Streaming implements Predictor {
  tokens = 0;
  nll = 0;
  private readonly model: Model;
  private readonly state: ModelState;
  private readonly step: number;
  private waiting: number[] = [];

  constructor(model: Model) {
    this.model = model;
    this.state = model.createState();
    this.step = model.parts.workspace.maxTokens;
  }

  push(id: number): boolean {
    return this.waiting.push(id) > this.step;
  }

  async run(pace: Pace): Promise<void> {
    await pace.giveWay();
    const { waiting } = this;
    const longest = this.model.parts.pages?.maxPositions ?? Infinity;
    if (this.state.tokens + waiting.length - 1 > longest) {
      throw new ArgumentError(`perplexity: the text has more than the ${longest} tokens that this model can take; measure it in windows, with context ${longest} (--context ${longest}) or less`);
    }
    this.model.check(waiting, this.state, 'perplexity', this.state.tokens + waiting.length - 1); // also the last, which is only predicted
    this.model.forwardSequences([{ ids: waiting.slice(0, -1), state: this.state, want: 'all', what: 'perplexity' }], (logits, position) => {
      this.nll -= logProbability(logits, waiting[position + 1]!);
      this.tokens++;
    });
    this.waiting = waiting.slice(-1);
  }

  async finish(pace: Pace): Promise<void> {
    if (this.waiting.length > 1) await this.run(pace);
  }

  close(): void {
    this.state.release();
  }
}

/** Windows of `context` tokens, each `stride` after the one before, each read from an empty state. */
class Windows implements Predictor {
  tokens = 0;
  nll = 0;
  private readonly model: Model;
  private readonly context: number;
  private readonly stride: number;
  /** The ids of the window so far, and how many of them the windows before had. */
  private window: number[] = [];
  private known = 0;

  constructor(model: Model, context: number, stride: number) {
    this.model = model;
    this.context = context;
    this.stride = stride;
  }

  close(): void {}

  push(id: number): boolean {
    return this.window.push(id) === this.context;
  }

  async run(pace: Pace): Promise<void> {
    const from = Math.max(1, this.known);
    const lanes = new Lanes(this.model, [{ ids: this.window, from }], (logits, id) => {
      this.nll -= logProbability(logits, id);
      this.tokens++;
    }, 'perplexity');
    await lanes.run(pace);
    this.window = this.window.slice(this.stride);
    this.known = this.window.length;
  }

  async finish(pace: Pace): Promise<void> {
    if (this.window.length > Math.max(1, this.known)) await this.run(pace);
  }
}

class TextCounts {
  bytes = 0;
  private words = 1;
  private readonly space = new RegExp(`${SPACE}+`, 'g');
  private readonly encoder = new TextEncoder();
  private endsInSpace = false;

  add(text: string): void {
    this.bytes += this.encoder.encode(text).length;
    for (const { index } of text.matchAll(this.space)) if (index > 0 || !this.endsInSpace) this.words++;
    if (text !== '') this.endsInSpace = new RegExp(SPACE).test(text.at(-1)!);
  }

  figures(nll: number): TextFigures {
    const { bytes, words } = this;
    return { bytes, words, bitsPerByte: nll / bytes / Math.LN2, bytePerplexity: exp(nll / bytes), wordPerplexity: exp(nll / words) };
  }
}
