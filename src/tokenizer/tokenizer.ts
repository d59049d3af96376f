/** Text ↔ token ids, as a Hugging Face `tokenizer.json` describes it. */
import { ArgumentError, missingPart, notByNew, show, TokenizerError } from '../errors.js';
import { checkBoolean, givenOptions } from '../options.js';
import { AddedTokens } from './added-tokens.js';
import { BpeModel } from './bpe.js';
import { wellFormed } from './byte-level.js';
import { buildDecoder, type DecodeRun } from './decoder.js';
import { Growth } from './growth.js';
import type { ApplyChatTemplateOptions } from '../chat/apply.js';
import type { ChatMessage } from '../chat/messages.js';
import { Json } from './json.js';
import type { TokenizerParts } from './parts.js';
import { buildNormalizer } from './normalizer.js';
import { buildPostProcessor, type PostProcessor } from './post-processor.js';
import type { PreTokenizer } from './pre-tokenizer.js';
import { startOf } from './text-start.js';
import { Vocabulary } from './vocabulary.js';

export interface TokenizerOptions {
  /** Name of the file in error messages; default `tokenizer.json`. */
  file?: string | undefined;
  /** The parsed `tokenizer_config.json`, which names the bos and eos tokens. */
  config?: unknown | undefined;
  /** Chat templates by name, where they are not in `config`. */
  chatTemplates?: ReadonlyMap<string, string> | undefined;
}

export interface EncodeOptions {
  /** Add what the file's post-processor adds, such as a bos token; default true. */
  addSpecialTokens?: boolean | undefined;
  /** The text goes on from an earlier one: it gets no space in front, as the beginning of a text does in many tokenizers. Default false. */
  continues?: boolean | undefined;
}

export interface DecodeOptions {
  /** Leave special tokens out of the text; default true. */
  skipSpecialTokens?: boolean | undefined;
}

export interface DecodeStreamOptions extends DecodeOptions {
  /** Ids whose text has been shown already, and which the stream's text continues. */
  prompt?: ArrayLike<number> | undefined;
}

/**
 * Decodes token by token. The pieces joined are what `decode` gives for all ids, and no piece has half a character. One
 * difference: where a run of byte tokens (`<0xE2>`) is malformed, `decode` makes every byte of the run U+FFFD, a stream only
 * the malformed ones, because it has given out the others before.
 */
export interface DecodeStream {
  /** The text that is certain with this id: '' while a character is incomplete. Throws ArgumentError for an unknown id. */
  push(id: number): string;
  /** What is left at the end, an incomplete character as U+FFFD. */
  flush(): string;
}

/**
 * Tokenizer of a BPE model. Encoding and decoding agree with the Hugging Face `tokenizers` library; `truncation` and
 * `padding` entries are not applied, for they belong to training batches. What a file can make a text cost is bounded: patterns
 * that would backtrack catastrophically, such as `(?:a+)+c`, are refused.
 */
export class Tokenizer {
  /** Highest id + 1, added tokens included. */
  readonly vocabSize: number;
  readonly bosTokenId: number | undefined;
  readonly eosTokenId: number | undefined;

  /** @internal */
  readonly chatSources: TokenizerOptions;
  readonly #vocabulary: Vocabulary;
  readonly #model: BpeModel;
  readonly #added: AddedTokens;
  readonly #preTokenize: PreTokenizer;
  readonly #postProcess: PostProcessor;
  readonly #startDecoding: (streaming: boolean) => DecodeRun;

  /**
   * Builds a tokenizer from parsed JSON. Rejects with a TokenizerError naming file and key when the structure is broken, or when it
   * asks for something this library does not have (a model other than BPE, an unknown component, an untranslatable pattern).
   */
  static async fromJSON(json: unknown, options: TokenizerOptions = {}): Promise<Tokenizer> {
    const given = givenOptions('Tokenizer.fromJSON', options, ['file', 'config', 'chatTemplates']);
    return new Tokenizer(json ?? null, given, needsParts(json) ? (await import('./parts.js').catch(missingPart)).createParts() : undefined);
  }

  /** @internal Use `fromJSON`. */
  constructor(json: unknown, options: TokenizerOptions, parts: TokenizerParts | undefined) {
    if (json === undefined || typeof options !== 'object' || options === null || (parts !== undefined && typeof parts?.compileRegex !== 'function')) throw notByNew('Tokenizer', 'await Tokenizer.fromJSON(…)');
    const root = new Json(json, options.file ?? 'tokenizer.json');
    const model = root.key('model');
    requireBpe(model);
    this.#vocabulary = new Vocabulary(model.key('vocab'), parts?.createTable);
    this.#model = new BpeModel(model, this.#vocabulary);
    this.#added = new AddedTokens(root.key('added_tokens'), this.#vocabulary, buildNormalizer(root.key('normalizer'), parts), parts);
    this.#preTokenize = parts?.buildPreTokenizer(root.key('pre_tokenizer'), parts) ?? ((words) => words);
    this.#postProcess = buildPostProcessor(root.key('post_processor'), (id) => this.idToToken(id) !== undefined);
    this.#startDecoding = buildDecoder(root.key('decoder'), parts);
    this.vocabSize = this.#vocabulary.size;
    const config = new Json(options.config ?? {}, 'tokenizer_config.json');
    this.bosTokenId = this.#configuredToken(config.key('bos_token'));
    this.eosTokenId = this.#configuredToken(config.key('eos_token'));
    this.chatSources = options;
  }

  /** The ids of a text. Lone surrogates count as U+FFFD. */
  encode(text: string, options: EncodeOptions = {}): number[] {
    const { addSpecialTokens = true, continues = false } = givenOptions('encode', options, ['addSpecialTokens', 'continues']);
    checkBoolean('addSpecialTokens', addSpecialTokens);
    checkBoolean('continues', continues);
    if (typeof text !== 'string') throw new ArgumentError(`encode: expected a string, found ${show(text)}`);
    const ids: number[] = [];
    const growth = new Growth(text.length);
    const start = startOf(continues);
    for (const piece of this.#added.split(wellFormed(text), growth, start)) {
      if (piece.id !== undefined) {
        ids.push(piece.id);
        continue;
      }
      for (const word of this.#preTokenize([piece], growth, start)) this.#model.encode(word.text, ids);
    }
    return addSpecialTokens ? this.#postProcess(ids) : ids;
  }

  /** The text of ids. Throws ArgumentError for an id that no token has. */
  decode(ids: ArrayLike<number>, options: DecodeOptions = {}): string {
    const { skipSpecialTokens = true } = givenOptions('decode', options, ['skipSpecialTokens']);
    const run = this.#startDecoding(false);
    return this.#pushAll('decode', run, ids, checkBoolean('skipSpecialTokens', skipSpecialTokens)) + run.flush();
  }

  /** Starts decoding token by token. */
  createDecodeStream(options: DecodeStreamOptions = {}): DecodeStream {
    const { skipSpecialTokens = true, prompt = [] } = givenOptions('createDecodeStream', options, ['skipSpecialTokens', 'prompt']);
    const skips = checkBoolean('skipSpecialTokens', skipSpecialTokens);
    const run = this.#startDecoding(true);
    this.#pushAll('createDecodeStream', run, prompt, skips);
    return { push: (id) => this.#push(run, id, skips), flush: () => run.flush() };
  }

  #pushAll(what: string, run: DecodeRun, ids: ArrayLike<number>, skips: boolean): string {
    if (typeof ids !== 'object' || typeof ids?.length !== 'number') throw new ArgumentError(`${what}: got ${show(ids)}, not a list of token ids`);
    let text = '';
    for (let i = 0; i < ids.length; i++) text += this.#push(run, ids[i]!, skips);
    return text;
  }

  #push(run: DecodeRun, id: number, skips: boolean): string {
    const token = this.idToToken(id);
    if (token === undefined) {
      throw new ArgumentError(`decode: no token has the id ${show(id)} (ids of this tokenizer are below ${this.vocabSize})`);
    }
    return skips && this.isSpecial(id) ? '' : run.push(token, this.#vocabulary.isAdded(token));
  }

  /**
   * The prompt that a conversation is, as the model's chat template has it.
   * @throws ArgumentError where there is none, or for messages that are none; ChatTemplateError.
   */
  async applyChatTemplate(messages: readonly ChatMessage[], options: ApplyChatTemplateOptions = {}): Promise<string> {
    return (await import('../chat/apply.js').catch(missingPart)).applyChatTemplate(this, messages, options);
  }

  /** The id of a token, spelled as in the vocabulary (`Ġthe`, `▁the`). */
  tokenToId(token: string): number | undefined {
    return this.#vocabulary.id(token);
  }

  /** The token of an id, spelled as in the vocabulary. */
  idToToken(id: number): string | undefined {
    return this.#vocabulary.token(id);
  }

  /** What is found in a text as it stands: control tokens, and others that the vocabulary does not merge. */
  get addedTokens(): readonly string[] {
    return this.#added.contents;
  }

  /** Whether an id is that of a special token, which decoding leaves out. */
  isSpecial(id: number): boolean {
    return this.#added.isSpecial(id);
  }

  /** `bos_token` and `eos_token` are a string or `{content}`; one that the vocabulary does not have counts as not set. */
  #configuredToken(json: Json): number | undefined {
    if (json.absent) return undefined;
    return this.tokenToId(typeof json.value === 'string' ? json.value : json.key('content').string());
  }
}

/** Old files have no `type`; a list of merges makes it BPE. */
function requireBpe(model: Json): void {
  const type = model.key('type');
  if (type.absent ? model.key('merges').absent : type.value !== 'BPE') {
    throw new TokenizerError(`${model.file}: model.type: a model of type ${show(type.value)} is not supported (supported: BPE)`);
  }
}

/** Whether a file may have patterns, or ask what a character is: most of the code is for that, and loaded only then. */
function needsParts(json: unknown): boolean {
  const { added_tokens: added, normalizer, pre_tokenizer: preTokenizer, decoder } = (json ?? {}) as Record<string, unknown>;
  if ((preTokenizer ?? undefined) !== undefined) return true;
  const values = new Set([added, normalizer, decoder]); // grows as it is gone through
  for (const value of values) {
    if (typeof value !== 'object' || value === null) continue;
    const { Regex, single_word: singleWord, type } = value as Record<string, unknown>;
    if (Regex !== undefined || singleWord === true || (typeof type === 'string' && /^(?:NF|Lower|StripA|ByteL|BPED)/.test(type))) return true;
    for (const inner of Object.values(value)) values.add(inner);
  }
  return false;
}
