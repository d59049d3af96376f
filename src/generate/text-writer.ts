import type { ConstraintSpec } from '../constrain/compile.js';
import type { Constraint } from '../constrain/constraint.js';
import type { BatchOptions, BatchPrompt, BatchResult } from './batch.js';
import type { BeamIds, BeamSearchOptions } from './beam-search.js';
import { generateItems, ID_OUTPUT, startOf, textOutput, type GenerateTokensOptions, type Output, type Start, type TextStart } from './generate.js';
import type { GenerationDefaults } from '../sampling/generation-config.js';
import {
  emptyPrompt, GENERATE_OPTIONS, TEXT_OPTIONS, TOKEN_OPTIONS, type GenerateIdsOptions, type GenerateOptions, type GenerateResult,
} from './options.js';
import { TextPieces, type TokenPiece } from './text-pieces.js';
import type { ModelConfig } from '../checkpoint/config.js';
import type { Model } from '../model/model.js';
import { requireState, type ModelState } from '../model/state.js';
import { checkTextOrIds, givenOptions } from '../options.js';
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

  get generationDefaults(): GenerationDefaults {
    return this.lm.generationDefaults;
  }

  /** Ids of text at the beginning, or of text that goes on exactly where other text ended. */
  encode(text: string, isStart: boolean): number[] {
    return this.tokenizer.encode(text, { addSpecialTokens: isStart, continues: !isStart });
  }

  /** A prompt as ids, for a text that starts with it or goes on from `state`. */
  promptIds(what: string, prompt: string | ArrayLike<number>, state?: ModelState): ArrayLike<number> {
    checkTextOrIds(`${what}: the prompt`, prompt, 'generateBatch');
    if (prompt === '') throw emptyPrompt(what);
    return typeof prompt === 'string' ? this.encode(prompt, !state || state.tokens === 0) : prompt;
  }

  /** Where a text starts that goes on from a prompt. */
  startOf(what: string, prompt: string | ArrayLike<number>): Start {
    return (options) => {
      const { state } = options;
      if (state !== undefined) requireState(`${what}: option state`, state);
      return startOf(this.model, this.promptIds(what, prompt, state), options, what);
    };
  }

  generateIds(what: string, given: GenerateIdsOptions, start: Start): AsyncGenerator<number, GenerateResult, undefined> {
    return this.write(what, given, GENERATE_OPTIONS, start, () => ID_OUTPUT);
  }

  generateText(what: string, given: GenerateOptions, start: Start): AsyncGenerator<string, GenerateResult, undefined> {
    return this.write(what, given, TEXT_OPTIONS, start, (options, { text }) => textOutput(this.tokenizer, options, text));
  }

  generateTokens(what: string, given: GenerateTokensOptions, start: Start): AsyncGenerator<TokenPiece, GenerateResult, undefined> {
    return this.write(what, given, TOKEN_OPTIONS, start, async (options, { text }) =>
      (await import('./token-pieces.js')).tokenOutput(this.tokenizer, options, text));
  }

  async generateBatch(prompts: readonly BatchPrompt[], options: BatchOptions): Promise<BatchResult[]> {
    return (await import('./text-batch.js')).writeBatch(this, prompts, options);
  }

  async beamSearch(prompt: string | ArrayLike<number>, options: BeamSearchOptions): Promise<(BeamIds & { readonly text: string })[]> {
    const { model, generationDefaults: { maxNewTokens } } = this;
    const ids = this.promptIds('beamSearch', prompt);
    const found = await (await import('./beam-search.js')).beamSearch(model, ids, options, maxNewTokens === undefined ? {} : { maxNewTokens });
    return found.map((beam) => ({ ...beam, text: this.hasTokenizer ? textAfter(this.tokenizer, ids, beam.ids) : '' }));
  }

  /** One text, from the first `next()` to its end, however it ends: so long nobody else may change its state. */
  private async *write<Options extends GenerateIdsOptions, Item>(
    what: string, given: Options, known: readonly string[], start: Start,
    output: (options: Options, from: TextStart) => Output<Item> | Promise<Output<Item>>,
  ): AsyncGenerator<Item, GenerateResult, undefined> {
    const options = { ...this.generationDefaults, ...givenOptions(what, given, known) };
    const from = start(options);
    const { state, text } = from;
    state.hold(what, from);
    try {
      const { constraint: spec } = options;
      const constraint = spec === undefined ? undefined : (await this.compile(spec, options)).start(text);
      return yield* generateItems(this.model, options, { ...from, holder: from, constraint }, await output(options, from));
    } finally {
      state.letGo();
    }
  }

  /** What a constraint stands for. @throws as `compileConstraint`. */
  async compile(spec: ConstraintSpec, { eosTokenIds = this.lm.config.eosTokenIds }: GenerateIdsOptions): Promise<Constraint> {
    if (typeof (spec as Constraint | null)?.start === 'function') return spec as Constraint; // works without a tokenizer
    const { compileConstraint } = await import('../constrain/compile.js');
    return compileConstraint(spec, this.tokenizer, { eosTokenIds });
  }
}

/** The text that `ids` add to the text of `before`. */
function textAfter(tokenizer: Tokenizer, before: ArrayLike<number>, ids: readonly number[]): string {
  const pieces = new TextPieces(tokenizer, before, []);
  return ids.map((id) => pieces.show(pieces.decode(id))).join('') + pieces.finish().shown;
}
