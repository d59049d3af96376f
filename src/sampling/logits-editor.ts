import { ArgumentError, show } from '../errors.js';
import { Penalties } from './penalties.js';
import type { SamplerSettings } from './sampling-options.js';
import { TokenHistory } from './token-history.js';

/** Ids that a `logitsProcessor` gets to see: texts may go on for ever. */
const MAX_SHOWN_IDS = 65_536;
const ALL = 0xffffffff;
const NONE: readonly number[] = [];

/** All that is done to logits before the temperature: on a copy, in the order that `SamplingOptions` gives. */
export class LogitsEditor {
  private readonly settings: SamplerSettings;
  private readonly copy: Float32Array; // [vocab]
  private readonly notBanned: Uint32Array; // [vocab / 32] one bit for each id, the lowest first
  private readonly allowed: Uint32Array; // [vocab / 32] not banned, and in the mask
  private readonly biasIds: Int32Array;
  private readonly biases: Float64Array;
  private readonly penalties: Penalties | undefined;
  private readonly history: TokenHistory | undefined;

  constructor(vocabSize: number, settings: SamplerSettings) {
    this.settings = settings;
    this.copy = new Float32Array(vocabSize);
    this.notBanned = new Uint32Array(Math.ceil(vocabSize / 32)).fill(ALL);
    this.allowed = this.notBanned.slice();
    const biases = [...settings.logitBias];
    const banned = biases.filter(([, bias]) => bias === -Infinity).map(([id]) => id);
    for (const id of [...banned, ...settings.bannedTokens]) this.notBanned[id >>> 5]! &= ~(1 << (id & 31));
    this.biasIds = Int32Array.from(biases, ([id]) => id);
    this.biases = Float64Array.from(biases, ([, bias]) => bias);
    this.penalties = Penalties.areUsed(settings) ? new Penalties(vocabSize, settings) : undefined;
    this.history = settings.logitsProcessor && new TokenHistory(MAX_SHOWN_IDS);
  }

  /** Whether there is anything to do where there is no mask. */
  static isNeeded(settings: SamplerSettings): boolean {
    const { logitBias, bannedTokens, logitsProcessor } = settings;
    return logitBias.size > 0 || bannedTokens.length > 0 || logitsProcessor !== undefined || Penalties.areUsed(settings);
  }

  /** Adds a token to the text. */
  push(id: number, isPrompt: boolean): void {
    this.penalties?.push(id, isPrompt);
    this.history?.push(id);
  }

  /** Whether `id` may be chosen. */
  allows(id: number, mask: Uint32Array | undefined, endIds: readonly number[] | undefined): boolean {
    this.combine(mask, endIds);
    return ((this.allowed[id >>> 5]! >>> (id & 31)) & 1) === 1;
  }

  /**
   * @param logits [vocab]
   * @returns [vocab] a copy, valid until the next call.
   * @throws ArgumentError for what a `logitsProcessor` did.
   */
  edit(logits: Float32Array, mask: Uint32Array | undefined, endIds: readonly number[] | undefined, newTokens: number): Float32Array {
    const { copy, biasIds, biases, history } = this;
    const { logitsProcessor } = this.settings;
    this.combine(mask, endIds);
    copy.set(logits);
    for (let k = 0; k < biasIds.length; k++) copy[biasIds[k]!]! += biases[k]!;
    this.penalties?.apply(copy);
    this.exclude();
    if (logitsProcessor) {
      const returned: unknown = logitsProcessor(copy, { ids: history!.ids, newTokens });
      if (typeof returned === 'object' && returned !== null && returned !== copy) {
        throw new ArgumentError(`option logitsProcessor returned ${show(returned)}: it must change the logits that it is given, at once`);
      }
      const wrong = copy.findIndex((logit) => !(logit < Infinity));
      if (wrong >= 0) {
        throw new ArgumentError(
          `option logitsProcessor made the logit of token ${wrong} ${copy[wrong]}: give a finite number, or -Infinity to ban it`,
        );
      }
      this.exclude(); // it does not bring back what may not be chosen
    }
    return copy;
  }

  copyFrom(other: LogitsEditor): void {
    if (other.penalties) this.penalties?.copyFrom(other.penalties);
    if (other.history) this.history?.copyFrom(other.history);
  }

  private combine(mask: Uint32Array | undefined, endIds: readonly number[] | undefined): void {
    const { allowed, notBanned } = this;
    if (!mask) return allowed.set(notBanned);
    if (mask.length > allowed.length) {
      throw new ArgumentError(`sample: the mask has ${show(mask.length)} elements, for ${allowed.length} at most: one bit for each id`);
    }
    allowed.fill(0);
    allowed.set(mask); // a model's vocabulary may be padded beyond its tokenizer's
    for (const id of endIds ?? NONE) allowed[id >>> 5]! |= 1 << (id & 31);
    for (let w = 0; w < allowed.length; w++) allowed[w]! &= notBanned[w]!;
  }

  private exclude(): void {
    const { allowed, copy } = this;
    for (let w = 0; w < allowed.length; w++) {
      const bits = allowed[w]!;
      if (bits === ALL) continue;
      const end = Math.min(32 * (w + 1), copy.length);
      for (let id = 32 * w; id < end; id++) if (((bits >>> (id & 31)) & 1) === 0) copy[id] = -Infinity;
    }
  }
}
