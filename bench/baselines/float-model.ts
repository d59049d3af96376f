import { applyLayer, applyLinear, type Workbench, type FloatLayer, type FloatLinear } from './float-layers.js';

/**
 * Some layers, one after another, in one memory. WebAssembly addresses 4 GiB, less than the larger models and their caches take in
 * float32; so a model may be several stages, each with kernels, threads and work space of its own. What a token has become is copied
 * from one to the next: some kilobytes.
 */
export interface Stage extends Workbench {
  readonly layers: readonly FloatLayer[];
}

export interface FloatModelParts {
  readonly name: string;
  readonly vocabSize: number;
  readonly eps: number;
  readonly embeddings: Float32Array; // [vocab, hidden]
  readonly stages: readonly Stage[];
  /** The last two are in the memory of the last stage. */
  readonly norm: Float32Array;
  readonly head: FloatLinear;
  readonly logits: Float32Array; // [maxTokens, vocab]
  /** Positions that it has room for. */
  readonly contextLength: number;
  /** Bytes of all weights, embeddings included. */
  readonly weightBytes: number;
  /** Bytes of what it remembers of a text: always, and for each token of it. */
  readonly memory: { readonly fixed: number; readonly perToken: number };
}

/** Called with the logits of some consecutive positions, [tokens, vocab]. */
export type LogitsSink = (logits: Float32Array, tokens: number) => void;

/** A float32 baseline, and the one text that it is reading. */
export class FloatModel {
  readonly parts: FloatModelParts;
  /** How many tokens of the text it has read. A transformer may be set back: what comes after is overwritten. */
  position = 0;

  constructor(parts: FloatModelParts) {
    this.parts = parts;
  }

  /** Reads `ids`. @returns the logits of the last position, [vocab]; overwritten by the next call. @throws RangeError beyond the context. */
  forward(ids: ArrayLike<number>): Float32Array {
    const { stages, norm, vocabSize, logits } = this.parts;
    const { maxTokens, residual } = stages[stages.length - 1].workspace;
    let tokens = 0;
    for (let first = 0; first < ids.length; first += tokens) {
      tokens = Math.min(maxTokens, ids.length - first);
      this.hidden(ids, first, tokens);
    }
    if (tokens > 1) residual.copyWithin(0, (tokens - 1) * norm.length, tokens * norm.length);
    this.head(1);
    return logits.subarray(0, vocabSize);
  }

  /** Reads `ids` and hands over the logits of every position. @throws RangeError beyond the context. */
  forwardAll(ids: ArrayLike<number>, sink: LogitsSink): void {
    const { stages, logits } = this.parts;
    const { maxTokens } = stages[0].workspace;
    for (let first = 0; first < ids.length; first += maxTokens) {
      const tokens = Math.min(maxTokens, ids.length - first);
      this.hidden(ids, first, tokens);
      this.head(tokens);
      sink(logits, tokens);
    }
  }

  private hidden(ids: ArrayLike<number>, first: number, tokens: number): void {
    const { embeddings, stages, norm, eps, contextLength, name } = this.parts;
    const width = norm.length;
    if (this.position + tokens > contextLength) throw new RangeError(`${name} has room for ${contextLength} tokens`);
    let residual = stages[0].workspace.residual;
    for (let t = 0; t < tokens; t++) {
      const row = ids[first + t] * width;
      residual.set(embeddings.subarray(row, row + width), t * width);
    }
    for (const stage of stages) {
      if (stage.workspace.residual !== residual) stage.workspace.residual.set(residual.subarray(0, tokens * width));
      for (const layer of stage.layers) applyLayer(stage, layer, eps, tokens, this.position);
      residual = stage.workspace.residual;
    }
    this.position += tokens;
  }

  private head(tokens: number): void {
    const { stages, norm, head, logits, eps } = this.parts;
    const stage = stages[stages.length - 1];
    stage.kernels.rmsNorm(stage.workspace.residual, norm, eps, tokens, stage.workspace.normed);
    applyLinear(stage, head, stage.workspace.normed, tokens, logits);
  }

  /** Makes its memory what it might be after `position` tokens, in a moment, to measure what comes then. */
  pretend(position: number): void {
    for (const { layers } of this.parts.stages) for (const { mixer } of layers) mixer.pretend(position);
    this.position = position;
  }

  /** Back to the start of a text. */
  reset(): void {
    for (const { layers } of this.parts.stages) for (const { mixer } of layers) mixer.reset();
    this.position = 0;
  }

  /** Ends the threads. */
  dispose(): void {
    for (const { kernels } of this.parts.stages) kernels.dispose();
  }
}
