import type { SamplerSettings } from './sampling-options.js';
import { TokenHistory } from './token-history.js';

/** Makes tokens that are in the text less probable (or more): `SamplingOptions` tells how. Nothing is allocated for each token. */
export class Penalties {
  private readonly settings: SamplerSettings;
  private readonly inText: Int32Array; // [vocab] occurrences in the window
  private readonly inNew: Int32Array; //  [vocab] those of them that are not the prompt's
  private readonly history: TokenHistory | undefined; // undefined: the window is the whole text
  private promptInWindow = 0; // tokens of the window that are the prompt's: they come first

  constructor(vocabSize: number, settings: SamplerSettings) {
    this.settings = settings;
    this.inText = new Int32Array(vocabSize);
    this.inNew = new Int32Array(vocabSize);
    this.history = settings.penaltyWindow === undefined ? undefined : new TokenHistory(settings.penaltyWindow);
  }

  /** Whether there is any penalty. */
  static areUsed({ repetitionPenalty, frequencyPenalty, presencePenalty, penaltyWindow }: SamplerSettings): boolean {
    return penaltyWindow !== 0 && (repetitionPenalty !== 1 || frequencyPenalty !== 0 || presencePenalty !== 0);
  }

  /** Adds a token to the text. */
  push(id: number, isPrompt: boolean): void {
    this.inText[id]!++;
    if (isPrompt) this.promptInWindow++;
    else this.inNew[id]!++;
    const gone = this.history?.push(id) ?? -1;
    if (gone < 0) return;
    this.inText[gone]!--;
    if (this.promptInWindow > 0) this.promptInWindow--;
    else this.inNew[gone]!--;
  }

  /** @param logits [vocab], changed in place; each is rounded to float32 once. */
  apply(logits: Float32Array): void {
    const { inText, inNew } = this;
    const { repetitionPenalty, frequencyPenalty, presencePenalty } = this.settings;
    for (let id = 0; id < inText.length; id++) {
      if (inText[id] === 0) continue;
      let logit = logits[id]!;
      logit = logit < 0 ? logit * repetitionPenalty : logit / repetitionPenalty;
      const count = inNew[id]!;
      if (count > 0) logit -= frequencyPenalty * count + presencePenalty;
      logits[id] = logit;
    }
  }

  copyFrom(other: Penalties): void {
    this.inText.set(other.inText);
    this.inNew.set(other.inNew);
    if (other.history) this.history?.copyFrom(other.history);
    this.promptInWindow = other.promptInWindow;
  }
}
