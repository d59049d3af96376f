import { hadamard } from '../kernels/scalar/hadamard.js';
import type { Lookup } from './embedding.js';

/** Embeddings that are stored in a rotated basis (bonsai.md §2.6): a row is brought back when it is looked up, first by the Walsh-Hadamard matrices, then by the signs. */
export class RotatedEmbedding implements Lookup {
  readonly width: number;
  private readonly stored: Lookup;
  private readonly block: number;
  private readonly signs: Float32Array | undefined; // [width]
  private readonly row: Float32Array; //               [width]

  constructor(stored: Lookup, block: number, signs: Float32Array | undefined) {
    this.width = stored.width;
    this.stored = stored;
    this.block = block;
    this.signs = signs;
    this.row = new Float32Array(stored.width);
  }

  get byteLength(): number {
    return this.stored.byteLength;
  }

  lookUp(id: number, out: Float32Array, at: number): void {
    const { stored, block, signs, row, width } = this;
    stored.lookUp(id, row, 0);
    hadamard(row, undefined, block, width, 1, row);
    for (let j = 0; j < width; j++) out[at + j] = signs ? row[j]! * signs[j]! : row[j]!;
  }
}
