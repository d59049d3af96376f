import type { GroupedMatrix, Kernels, TransformerKernels } from '../kernels/kernels.js';
import { requireTransformer } from './check.js';
import type { Lookup } from './embedding.js';

/** Embeddings that are a ternary matrix, often that of the head: a row is unpacked when it is looked up (bonsai.md §3.1). */
export class TernaryEmbedding implements Lookup {
  readonly weight: GroupedMatrix; // [vocab, hidden]
  private readonly kernels: TransformerKernels;
  readonly width: number;
  private readonly trits: Int8Array; // [hidden]

  constructor(kernels: Kernels, weight: GroupedMatrix) {
    this.kernels = requireTransformer('TernaryEmbedding', kernels);
    this.weight = weight;
    this.width = weight.columns;
    this.trits = new Int8Array(weight.columns);
  }

  get byteLength(): number {
    const { packed, scales } = this.weight;
    return packed.byteLength + scales.byteLength;
  }

  lookUp(id: number, out: Float32Array, at: number): void {
    const { kernels, trits, weight, weight: { rows, columns, group, scales } } = this;
    kernels.unpackRow(weight, id, trits);
    for (let j = 0; j < columns; j++) out[at + j] = trits[j]! * scales[Math.floor(j / group) * rows + id]!;
  }
}
