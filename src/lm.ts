import { loadTokenizer } from './checkpoint/tokenizer.js';
import { ArgumentError, disposed, missingPart, notByNew, show, TokenizerError } from './errors.js';
import type { BatchOptions, BatchPrompt, BatchResult } from './generate/batch.js';
import type { BeamIds, BeamSearchOptions } from './generate/beam-search.js';
import type { Chats } from './generate/chat-host.js';
import type { CompleteOptions, Completion } from './generate/complete.js';
import type { ChatOptions, Conversation } from './generate/conversation.js';
import { IDS, TEXT, TOKENS } from './generate/generate.js';
import type { GenerationDefaults } from './sampling/generation-config.js';
import type { GenerateIdsOptions, GenerateOptions, GenerateResult, GenerateTokensOptions } from './generate/options.js';
import type { PrefixCache } from './generate/prefix-cache.js';
import type { Prompt } from './generate/prompt.js';
import { decodeSession } from './generate/session-bytes.js';
import type { TokenPiece } from './generate/text-pieces.js';
import { bytesOf, parseJsonObject } from './formats/bytes.js';
import { checkBoolean, checkNumber, checkTextOrIds, givenOptions } from './options.js';
import type { Choice, ChooseOptions } from './scoring/choose.js';
import type { EmbedOptions } from './scoring/embed.js';
import type { Perplexity, PerplexityInput, PerplexityOptions } from './scoring/perplexity.js';
import { scoreIds, type Score, type ScoreOptions } from './scoring/score.js';
import type { BackendName, Kernels } from './kernels/kernels.js';
import { createKernelsAndArena } from './kernels/create.js';
import type { ModelConfig } from './architectures/config.js';
import type { Family } from './architectures/family.js';
import { describeModel, type ModelInfo } from './model/describe.js';
import type { Parts } from './lm-parts.js';
import { loadModel, modelBytes, type Progress } from './model/load-model.js';
import { Model } from './model/model.js';
import type { MemoryOptions } from './model/transformer-parts.js';
import { openCheckpoint } from './checkpoint/open-checkpoint.js';
import type { ModelState } from './model/state.js';
import { Session } from './generate/session.js';
import type { RemoteOptions } from './sources/hub/remote.js';
import { openSource, SOURCE_OPTIONS, type ModelSource } from './sources/source.js';
import { TextWriter } from './generate/text-writer.js';
import type { Tokenizer } from './tokenizer/tokenizer.js';

export interface LoadOptions extends MemoryOptions, RemoteOptions {
  /**
   * Default 'auto': the fastest one that this engine supports, has memory for and computes rightly; `lm.info().backendNote` tells why a
   * faster one is left out. Every backend gives the same results, bit for bit.
   */
  readonly backend?: 'auto' | BackendName | undefined;
  /**
   * Threads to use, the calling one included; default 'auto': one less than there are processors. Results do not depend on it.
   * `lm.threads` tells how many there are: one with the scalar backend, and where there is no shared memory.
   */
  readonly threads?: 'auto' | number | undefined;
  /**
   * Of a GGUF file of the type I2_S: 'A' (default), or 'B', which bitnet.cpp wrote on ARM processors from November 2025 on. No file says
   * which it has; with the wrong one a model writes nonsense.
   */
  readonly i2sLayout?: 'A' | 'B' | undefined;
  /** How a conversation is written, as a template in Jinja, in place of the one that came with the model. */
  readonly chatTemplate?: string | undefined;
  /** Families of models of your own, which are asked first: see examples/architecture.ts. */
  readonly families?: readonly Family[] | undefined;
  readonly onProgress?: ((progress: Progress) => void) | undefined;
  /** Stops loading; `load` rejects with the signal's reason. A download goes on from there the next time. */
  readonly signal?: AbortSignal | undefined;
}

export interface ForwardOptions {
  /** Logits of all positions, [ids.length, vocab], instead of the last one's. */
  readonly all?: boolean | undefined;
  /** Write the logits here instead of to a new array. */
  readonly out?: Float32Array | undefined;
}

const LOAD_OPTIONS = ['backend', 'threads', 'contextTokens', 'kvType', 'i2sLayout', ...SOURCE_OPTIONS, 'families', 'chatTemplate'];
const FORWARD_OPTIONS = ['all', 'out'];

/** A MatMul-free language model, ready to run. */
export class MatMulFreeLM {
  readonly config: ModelConfig;
  readonly backend: BackendName;
  /** Threads that share the work, the calling one included. */
  readonly threads: number;
  /** Options of `generate` that the model's authors chose (`generation_config.json`); those of a call go before them. */
  readonly generationDefaults: GenerationDefaults;
  private readonly maybeTokenizer: Tokenizer | undefined;
  private readonly name: string;
  private maybeModel: Model | undefined;
  private maybeChats: Chats | undefined;
  private readonly writer = new TextWriter(this);

  private constructor(name: string, model: Model, tokenizer: Tokenizer | undefined, defaults: GenerationDefaults) {
    if (!(model instanceof Model)) throw notByNew('MatMulFreeLM', 'await MatMulFreeLM.load(…)');
    this.name = name;
    this.maybeModel = model;
    this.maybeTokenizer = tokenizer;
    this.config = model.parts.config;
    this.backend = model.parts.kernels.backend;
    this.threads = model.parts.kernels.threads;
    this.generationDefaults = defaults;
  }

  /**
   * Loads a model from a folder in Hugging Face layout or a GGUF file: from disk, from memory, from a URL or from the Hub.
   * @throws SourceError (nothing there), FormatError (a broken file), ConfigError (a model that this library cannot run, or whose
   * tensors disagree with its configuration), TokenizerError, BackendError, ArgumentError (options), or the signal's reason.
   */
  static async load(source: ModelSource, options: LoadOptions = {}): Promise<MatMulFreeLM> {
    const given = givenOptions('load', options, LOAD_OPTIONS);
    const { backend, threads, contextTokens, kvType = 'f16', i2sLayout = 'A', families, chatTemplate, signal } = given;
    checkNumber('contextTokens', contextTokens ?? 1, 1, 2 ** 31, 'whole');
    for (const [name, value, ...known] of [['kvType', kvType, 'f16', 'f32'], ['i2sLayout', i2sLayout, 'A', 'B']]) {
      if (!known.includes(value)) throw new ArgumentError(`load: option ${name} is ${show(value)}, not "${known.join('" or "')}"`);
    }
    if (!Array.isArray(families ?? [])) throw new ArgumentError(`load: option families is ${show(families)}, not a list`);
    signal?.throwIfAborted();
    const checkpoint = await openCheckpoint(await openSource(source, given, 'load'), families, i2sLayout);
    let kernels: Kernels | undefined;
    try {
      const tokenizer = await loadTokenizer(checkpoint, chatTemplate);
      const { texts, blueprint } = checkpoint;
      const defaults = texts.generationConfig === undefined ? {} : await readDefaults(texts.generationConfig, blueprint.config.vocabSize);
      const wanted = { backend, threads, transformer: blueprint.transformer };
      const made = await createKernelsAndArena(wanted, (candidate) => modelBytes(checkpoint, candidate, { contextTokens, kvType }));
      kernels = made.kernels;
      const model = await loadModel(checkpoint, kernels, { ...given, arena: made.arena });
      const lm = new MatMulFreeLM(checkpoint.name, model, tokenizer, defaults);
      if (tokenizer && (tokenizer.chatSources.chatTemplates ?? texts.tokenizerConfig?.includes('chat_template'))) lm.maybeChats = await (await part('chats')).createChats(lm);
      return lm;
    } catch (error) {
      kernels?.dispose();
      throw error;
    } finally {
      await checkpoint.close();
    }
  }

  /** @throws TokenizerError when the model came without one. */
  get tokenizer(): Tokenizer {
    if (!this.maybeTokenizer) {
      throw new TokenizerError(`${this.name}: has no tokenizer, so it takes token ids only`);
    }
    return this.maybeTokenizer;
  }

  get hasTokenizer(): boolean {
    return this.maybeTokenizer !== undefined;
  }

  /** The layers themselves: `lm.model.parts.blocks` and so on. @throws ArgumentError after `dispose`. */
  get model(): Model {
    if (!this.maybeModel) throw disposed();
    return this.maybeModel;
  }

  /** @internal @param what the caller's function. @throws ArgumentError when the model has no chat template. */
  chats(what: string): Chats {
    if (!this.maybeChats) throw new ArgumentError(`${what}: the model has no chat template; give load one, as option chatTemplate`);
    return this.maybeChats;
  }

  get hasChatTemplate(): boolean {
    return this.maybeChats !== undefined;
  }

  /** The state before the first token. */
  createState(): ModelState {
    return this.model.createState();
  }

  /** Reads what `state.serialize()` wrote. @throws ArgumentError when the bytes are damaged or another model's. */
  restoreState(bytes: Uint8Array | ArrayBuffer): ModelState {
    return this.model.restoreState(checkBytes('restoreState', bytes));
  }

  /**
   * Advances `state` over one id or several.
   * @returns logits [vocab] of the last position, or [ids.length, vocab] with `all`; `out` if it was given.
   * @throws ArgumentError for no ids, an id out of range, another model's state, an `out` of the wrong length.
   */
  forward(ids: number | ArrayLike<number>, state: ModelState, options: ForwardOptions = {}): Float32Array {
    const { all = false, out: given } = givenOptions('forward', options, FORWARD_OPTIONS);
    const { model } = this;
    const list = typeof ids === 'number' ? [ids] : ids;
    checkBoolean('all', all);
    if (all) model.check(list, state); // before memory is taken for so many; otherwise forwardLast checks
    const vocab = this.config.vocabSize;
    const length = all ? list.length * vocab : vocab;
    const out = given ?? allocateLogits(length);
    if (!(out instanceof Float32Array)) throw new ArgumentError(`forward: out is ${show(out)}, not a Float32Array`);
    if (out.length !== length) throw new ArgumentError(`forward: out has ${out.length} elements, needs ${length}`);
    if (!all) {
      model.forwardLast(list, state, out);
      return out;
    }
    model.forwardAll(list, state, (logits, position) => out.set(logits, position * vocab));
    return out;
  }

  /**
   * Goes on from `prompt`, piece by piece: `for await (const piece of lm.generate('Once'))`. The generator's return value tells
   * why it stopped. Text gets the tokenizer's special tokens (BOS), unless it continues a state that is not empty: then it goes on exactly
   * where the text before it ended, so it needs its own space in front.
   * @throws ArgumentError (an empty prompt, an option), TokenizerError, the signal's reason.
   */
  generate(prompt: Prompt, options: GenerateOptions = {}): AsyncGenerator<string, GenerateResult, undefined> {
    return this.writer.write(TEXT, 'generate', options, this.writer.startOf(prompt));
  }

  /**
   * As `generate`, the whole text at once: `(await lm.complete('Once')).text`. After messages it is an answer, with the thought before it and calls of
   * tools apart; `toolChoice` may ask for a call.
   */
  async complete(prompt: Prompt, options: CompleteOptions = {}): Promise<Completion> {
    return (await part('chats')).complete(this.writer, this, prompt, options);
  }

  /**
   * A conversation, as the model's chat template has it: `for await (const piece of lm.chat({ system }).say('Hi'))`. Options are those of all its answers.
   * @throws ArgumentError for a model without a chat template, or an option.
   */
  chat(options: ChatOptions = {}): Conversation {
    return this.chats('chat').start(options);
  }

  /** Goes on from what `chat.save()` wrote. @throws ArgumentError when the bytes are damaged or another model's. */
  openChat(bytes: Uint8Array | ArrayBuffer, options: ChatOptions = {}): Conversation {
    return this.chats('openChat').open(checkBytes('openChat', bytes), options);
  }

  /** As `generate`, ids in and ids out: needs no tokenizer. */
  generateIds(prompt: ArrayLike<number>, options: GenerateIdsOptions = {}): AsyncGenerator<number, GenerateResult, undefined> {
    return this.writer.write(IDS, 'generateIds', options, this.writer.startOf(prompt));
  }

  /** As `generate`, with each token's id, text, log-probability, and the most probable tokens in its place. */
  generateTokens(prompt: Prompt, options: GenerateTokensOptions = {}): AsyncGenerator<TokenPiece, GenerateResult, undefined> {
    return this.writer.write(TOKENS, 'generateTokens', options, this.writer.startOf(prompt));
  }

  /**
   * Continues several prompts at the same time, each to the text that it gives alone (with the seed that its result names), and several
   * times as fast as one after another.
   * @throws ArgumentError, TokenizerError, before anything has run; the signal's reason.
   */
  async generateBatch(prompts: readonly BatchPrompt[], options: BatchOptions = {}): Promise<BatchResult[]> {
    return (await part('batch')).writeBatch(this.writer, prompts, options);
  }

  /** The most probable texts that beam search finds after a prompt, the best first; `text` is '' for a model without a tokenizer. */
  async beamSearch(prompt: Prompt, options: BeamSearchOptions = {}): Promise<(BeamIds & { readonly text: string })[]> {
    return (await part('beams')).writeBeams(this.writer, prompt, options);
  }

  /** A text that grows by what you append and what the model writes; it can be forked, taken back and saved at any time. */
  session(): Session {
    return new Session(this.writer, { state: this.createState(), unread: [], memory: [] });
  }

  /** Goes on from what `session.save()` wrote. @throws ArgumentError when the bytes are damaged or another model's. */
  openSession(bytes: Uint8Array | ArrayBuffer): Session {
    const array = checkBytes('openSession', bytes);
    return new Session(this.writer, decodeSession(array, this.model));
  }

  /**
   * Keeps states after the beginnings of prompts, at most `maxBytes` of them (64 MiB), so that what prompts share at their beginning is
   * read once: an option of `generate`, `generateBatch` and `session.append`.
   * @throws ArgumentError for an option.
   */
  async createPrefixCache(options: { readonly maxBytes?: number } = {}): Promise<PrefixCache> {
    return (await part('prefixCache')).createPrefixCache(this.model, options);
  }

  /**
   * How probable a text is: each token is predicted from those before it; text gets its special tokens (BOS) first.
   * @throws ArgumentError for fewer than two tokens or an id out of range, TokenizerError.
   */
  score(textOrIds: string | ArrayLike<number>): Score {
    return scoreIds(this.model, this.idsOf('score: the text', textOrIds, 'scoreBatch'));
  }

  /** As `score`, for long texts: lets other tasks run meanwhile, reports progress, and can be aborted. */
  async scoreAsync(textOrIds: string | ArrayLike<number>, options: ScoreOptions = {}): Promise<Score> {
    const { model } = this;
    const ids = this.idsOf('score: the text', textOrIds, 'scoreBatch');
    return (await part('scoreBatch')).scoreIdsAsync(model, ids, options);
  }

  /** As `scoreAsync`, for several texts side by side: each gets the score it gets alone, bit for bit, and short ones get it sooner. */
  async scoreBatch(texts: readonly (string | ArrayLike<number>)[], options: ScoreOptions = {}): Promise<Score[]> {
    const { model } = this;
    return (await part('scoreBatch')).scoreTexts(model, texts, options, (what, text) => this.idsOf(what, text));
  }

  /**
   * How probable each of `choices` is after `prompt`, in sum and per character: what the usual zero-shot tasks are scored by (`acc`,
   * `acc_norm`). A space is put between, unless `delimiter` says otherwise.
   * @throws ArgumentError (no choices, an empty one, an option), TokenizerError, the signal's reason.
   */
  async choose(prompt: string, choices: readonly string[], options: ChooseOptions = {}): Promise<Choice> {
    const { model, tokenizer } = this;
    return (await part('choose')).choose(model, tokenizer, prompt, choices, options);
  }

  /**
   * A text as a vector [hidden]: the hidden states after the final norm, averaged over all tokens, or the last one.
   * @throws ArgumentError (no ids, an id out of range, an option), TokenizerError, the signal's reason.
   */
  async embed(textOrIds: string | ArrayLike<number>, options: EmbedOptions = {}): Promise<Float32Array> {
    const { model } = this;
    const ids = this.idsOf('embed: the text', textOrIds);
    return (await part('embed')).embed(model, ids, options);
  }

  /**
   * The perplexity of a long text, also per byte and word: with a state that runs on, which models with attention have room for up to some
   * length, or in windows (`context`, `stride`). A text that comes in pieces, such as a file that is read, is never in memory as a whole.
   * @throws ArgumentError (fewer than two tokens, an id out of range, an option), TokenizerError, the signal's reason.
   */
  async perplexity(text: PerplexityInput, options: PerplexityOptions = {}): Promise<Perplexity> {
    const { model } = this;
    return (await part('perplexity')).measurePerplexity(model, () => this.tokenizer, text, options);
  }

  /** Counts, sizes and operations of the loaded model. */
  info(): ModelInfo {
    return describeModel(this.model);
  }

  /** Lets go of the weights and ends the worker threads. Every later call throws ArgumentError. */
  dispose(): void {
    this.maybeModel?.dispose();
    this.maybeModel = undefined;
  }

  private idsOf(what: string, textOrIds: string | ArrayLike<number>, forSeveral?: string): ArrayLike<number> {
    checkTextOrIds(what, textOrIds, forSeveral);
    return typeof textOrIds === 'string' ? this.tokenizer.encode(textOrIds) : textOrIds;
  }
}

async function part<Name extends keyof Parts>(name: Name): Promise<Awaited<ReturnType<Parts[Name]>>> {
  const { parts } = await import('./lm-parts.js').catch(missingPart);
  return parts[name]() as Promise<Awaited<ReturnType<Parts[Name]>>>;
}

/** Most models have none. */
async function readDefaults(text: string, vocabSize: number): Promise<GenerationDefaults> {
  const { generationDefaults } = await import('./sampling/generation-config.js').catch(missingPart);
  return generationDefaults(parseJsonObject('generation_config.json', text), vocabSize);
}

function checkBytes(what: string, bytes: Uint8Array | ArrayBuffer): Uint8Array {
  if (!(bytes instanceof ArrayBuffer || bytes instanceof Uint8Array)) throw new ArgumentError(`${what}: got ${show(bytes)}, not bytes`);
  return bytesOf(what, bytes);
}

function allocateLogits(length: number): Float32Array {
  try {
    return new Float32Array(length);
  } catch {
    throw new ArgumentError(`forward: there is no memory for ${length} logits; give fewer ids at a time, or use score`);
  }
}
