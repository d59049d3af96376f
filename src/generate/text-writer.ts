import { ArgumentError, show } from '../errors.js';
import type { ConstraintSpec } from '../constrain/compile.js';
import type { Constraint } from '../constrain/constraint.js';
import type { BatchOptions, BatchPrompt, BatchResult } from './batch.js';
import type { BeamIds, BeamSearchOptions } from './beam-search.js';
import { generateIds, generateText, generateTokens, startOf, type GenerateTokensOptions, type TextStart } from './generate.js';
import type { GenerationDefaults } from '../sampling/generation-config.js';
import { emptyPrompt, type GenerateIdsOptions, type GenerateOptions, type GenerateResult } from './options.js';
import { TextPieces, type TokenPiece } from './text-pieces.js';
import type { ModelConfig } from '../checkpoint/config.js';
import type { Model } from '../model/model.js';
import type { ModelState } from '../model/state.js';
import type { SessionHost } from './session.js';
import type { BatchHost } from './text-batch.js';
import type { Tokenizer } from '../tokenizer/tokenizer.js';

/** A loaded model, as far as writing needs it. */
export interface WritingModel {
  readonly config: ModelConfig;
  readonly generationDefaults: GenerationDefaults;
  readonly model: Model;
  /** @throws TokenizerError when there is none. */
  readonly tokenizer: Tokenizer;
  readonly hasTokenizer: boolean;
}

/** Writes texts with a model: puts prompts, the model's defaults and constraints together for what is in `generate/`. */
export class TextWriter implements SessionHost, BatchHost {
  private readonly lm: WritingModel;

  constructor(lm: WritingModel) {
    this.lm = lm;
  }

  get model(): Model {
    return this.lm.model;
  }

  get tokenizer(): Tokenizer {
    return this.lm.tokenizer;
  }

  get hasTokenizer(): boolean {
    return this.lm.hasTokenizer;
  }

  /** Ids of text at the beginning, or of text that goes on exactly where other text ended. */
  encode(text: string, isStart: boolean): number[] {
    return this.tokenizer.encode(text, { addSpecialTokens: isStart, continues: !isStart });
  }

  /** A prompt as ids, for a text that starts with it or goes on from `options.state`. */
  promptIds(prompt: string | ArrayLike<number>, state?: ModelState, what?: string): ArrayLike<number> {
    if (prompt === '') throw emptyPrompt(what);
    return typeof prompt === 'string' ? this.encode(prompt, !state || state.tokens === 0) : prompt;
  }

  /** Where a text starts that goes on from a prompt. */
  startOf(prompt: string | ArrayLike<number>, options: GenerateIdsOptions): TextStart {
    return startOf(this.model, this.promptIds(prompt, options?.state), options);
  }

  async *generateIds(given: GenerateIdsOptions, start: () => TextStart): AsyncGenerator<number, GenerateResult, undefined> {
    const options = this.withDefaults(given);
    return yield* generateIds(this.model, options, await this.constrained(start(), options));
  }

  async *generateText(given: GenerateOptions, start: () => TextStart): AsyncGenerator<string, GenerateResult, undefined> {
    const options = this.withDefaults(given);
    return yield* generateText(this.model, this.tokenizer, options, await this.constrained(start(), options));
  }

  async *generateTokens(given: GenerateTokensOptions, start: () => TextStart): AsyncGenerator<TokenPiece, GenerateResult, undefined> {
    const options = this.withDefaults(given);
    return yield* generateTokens(this.model, this.tokenizer, options, await this.constrained(start(), options));
  }

  async generateBatch(prompts: readonly BatchPrompt[], options: BatchOptions): Promise<BatchResult[]> {
    return (await import('./text-batch.js')).writeBatch(this, prompts, this.withDefaults(options));
  }

  async beamSearch(prompt: string | ArrayLike<number>, options: BeamSearchOptions): Promise<(BeamIds & { readonly text: string })[]> {
    const ids = this.promptIds(prompt, undefined, 'beamSearch');
    const { beamSearch } = await import('./beam-search.js');
    const { maxNewTokens } = this.lm.generationDefaults;
    const found = await beamSearch(this.model, ids, { ...(maxNewTokens === undefined ? {} : { maxNewTokens }), ...given(options) });
    return found.map((beam) => ({ ...beam, text: this.hasTokenizer ? textAfter(this.tokenizer, ids, beam.ids) : '' }));
  }

  private async constrained(start: TextStart, options: GenerateIdsOptions): Promise<TextStart> {
    const spec = options?.constraint;
    return spec === undefined ? start : { ...start, constraint: (await this.compile(spec, options)).start(start.text) };
  }

  /** What a constraint stands for. @throws as `compileConstraint`. */
  async compile(spec: ConstraintSpec, { eosTokenIds = this.lm.config.eosTokenIds }: GenerateIdsOptions): Promise<Constraint> {
    if (typeof (spec as Constraint | null)?.start === 'function') return spec as Constraint; // works without a tokenizer
    const { compileConstraint } = await import('../constrain/compile.js');
    return compileConstraint(spec, this.tokenizer, { eosTokenIds });
  }

  private withDefaults<Options extends GenerateIdsOptions>(options: Options): Options {
    return { ...this.lm.generationDefaults, ...given(options) };
  }
}

/** What is given of `options`: undefined is as if it were not there. */
function given<Options extends object>(options: Options): Options {
  if (typeof options !== 'object' || options === null) throw new ArgumentError(`the options are ${show(options)}, not an object`);
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as Options;
}

/** The text that `ids` add to the text of `before`. */
function textAfter(tokenizer: Tokenizer, before: ArrayLike<number>, ids: readonly number[]): string {
  const pieces = new TextPieces(tokenizer, before, []);
  return ids.map((id) => pieces.show(pieces.decode(id))).join('') + pieces.finish().shown;
}
