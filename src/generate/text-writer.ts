import type { RenderOptions } from '../chat/format.js';
import type { ChatMessage } from '../chat/messages.js';
import { missingPart } from '../errors.js';
import type { ConstraintSpec } from '../constrain/compile.js';
import type { Constraint } from '../constrain/constraint.js';
import { generateItems, startOf, type Kind, type Start } from './generate.js';
import type { GenerationDefaults } from '../sampling/generation-config.js';
import { isMessages, type Prompt } from './prompt.js';
import { emptyPrompt, type GenerateIdsOptions, type GenerateResult } from './options.js';
import type { ModelConfig } from '../architectures/config.js';
import type { Model } from '../model/model.js';
import { requireState } from '../model/state.js';
import { checkTextOrIds, givenOptions } from '../options.js';
import type { Tokenizer } from '../tokenizer/tokenizer.js';

/** What the model's chat template makes of messages. */
interface MessageFormat {
  /** Ids that end an answer. */
  readonly eosTokenIds: readonly number[];
  promptIds(messages: readonly ChatMessage[], options: RenderOptions): number[];
}

/** A loaded model, as far as writing needs it. */
export interface WritingModel {
  readonly config: ModelConfig;
  readonly generationDefaults: GenerationDefaults;
  readonly model: Model;
  /** @throws TokenizerError when there is none. */
  readonly tokenizer: Tokenizer;
  /** @param what the caller's function. @throws ArgumentError when the model has no chat template. */
  chats(what: string): MessageFormat;
  readonly hasTokenizer: boolean;
}

/** Writes texts with a model: puts prompts, the model's defaults and constraints together for what is in `generate/`. */
export class TextWriter {
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

  /** Of a prompt of messages, what ends an answer; else what `options` say. */
  endsOf(prompt: Prompt, { eosTokenIds }: GenerateIdsOptions): readonly number[] | undefined {
    return eosTokenIds ?? (isMessages(prompt) ? this.lm.chats('').eosTokenIds : undefined);
  }

  /** A prompt as ids, for a text that starts with it or goes on from `options.state`. */
  promptIds(what: string, prompt: Prompt, options: GenerateIdsOptions = {}): ArrayLike<number> {
    const { state } = options;
    if (isMessages(prompt)) return this.lm.chats(what).promptIds(prompt, options);
    checkTextOrIds(`${what}: the prompt`, prompt, 'generateBatch');
    if (prompt === '') throw emptyPrompt(what);
    return typeof prompt === 'string' ? this.encode(prompt, !state || state.tokens === 0) : prompt;
  }

  /** Where a text starts that goes on from a prompt. */
  startOf(prompt: Prompt): Start {
    return (what, options) => {
      const { state } = options;
      if (state !== undefined) requireState(`${what}: option state`, state);
      return { ...startOf(this.model, this.promptIds(what, prompt, options), options, what), eosTokenIds: this.endsOf(prompt, options) };
    };
  }

  /** One text, from the first `next()` to its end, however it ends: so long nobody else may change its state. */
  async *write<Options extends GenerateIdsOptions, Item>(
    { known, output }: Kind<Options, Item>, what: string, given: Options, start: Start,
  ): AsyncGenerator<Item, GenerateResult, undefined> {
    const asked = { ...this.generationDefaults, ...givenOptions(what, given, known) };
    const from = start(what, asked);
    const { state, text, eosTokenIds } = from;
    const options = eosTokenIds ? { ...asked, eosTokenIds } : asked;
    state.hold(what, from);
    try {
      const { constraint: spec } = options;
      const constraint = spec === undefined ? undefined : (await this.compile(spec, options)).start(text);
      return yield* generateItems(this.model, options, { ...from, holder: from, constraint }, await output(this, options, text));
    } finally {
      state.letGo();
    }
  }

  /** What a constraint stands for. @throws as `compileConstraint`. */
  async compile(spec: ConstraintSpec, { eosTokenIds = this.lm.config.eosTokenIds }: GenerateIdsOptions): Promise<Constraint> {
    if (typeof (spec as Constraint | null)?.start === 'function') return spec as Constraint; // works without a tokenizer
    const { compileConstraint } = await import('../constrain/compile.js').catch(missingPart);
    return compileConstraint(spec, this.tokenizer, { eosTokenIds });
  }
}
