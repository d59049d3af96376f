import { FLOAT_BYTES, type FloatType } from '../formats/floats.js';
import type { Kernels, TransformerKernels } from '../kernels/kernels.js';
import { requireLength, requireTransformer } from './check.js';

/** A head in floats: logits = table · x, the table often that of the embeddings (ternary-transformers.md §2.5). */
export class FloatHead {
  readonly type: FloatType;
  readonly bytes: Uint8Array; // [rows, columns] of `type`
  readonly rows: number;
  readonly columns: number;
  private readonly kernels: TransformerKernels;

  /** @throws ArgumentError when `bytes` has another length. */
  constructor(kernels: Kernels, type: FloatType, bytes: Uint8Array, rows: number, columns: number) {
    requireLength('FloatHead: bytes', bytes, rows * columns * FLOAT_BYTES[type]);
    this.kernels = requireTransformer('FloatHead', kernels);
    this.type = type;
    this.bytes = bytes;
    this.rows = rows;
    this.columns = columns;
  }

  /** x: [tokens, columns]; out: [tokens, rows]. */
  forward(x: Float32Array, tokens: number, out: Float32Array): void {
    this.kernels.floatMatmul(this.bytes, this.type, this.rows, x, this.columns, tokens, out);
  }
}
