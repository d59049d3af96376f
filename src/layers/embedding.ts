import { float16ToFloat32Bits, FLOAT_BYTES, type FloatType } from '../formats/floats.js';
import { requireLength } from './check.js';

/** Vectors of tokens. */
export interface Lookup {
  readonly width: number;
  readonly byteLength: number;
  /** Writes the vector of `id` to `out[at, at + width)`. Allocates nothing. */
  lookUp(id: number, out: Float32Array, at: number): void;
}

/** A plain table of vectors, kept in the type it was stored in; a row becomes float32 when it is looked up. */
export class Embedding implements Lookup {
  readonly type: FloatType;
  readonly rows: number;
  readonly width: number;
  private readonly words: Float32Array | Uint16Array; // [rows, width]
  private readonly row: Float32Array; //                 [width]
  private readonly rowBits: Uint32Array; //              the same memory

  /**
   * @param bytes [rows, width] little-endian elements of `type`; not copied if they are aligned to their size.
   * @throws ArgumentError when `bytes` has another length.
   */
  constructor(type: FloatType, bytes: Uint8Array, rows: number, width: number) {
    requireLength('Embedding: bytes', bytes, rows * width * FLOAT_BYTES[type]);
    this.type = type;
    this.rows = rows;
    this.width = width;
    const { buffer, byteOffset } = bytes.byteOffset % FLOAT_BYTES[type] === 0 ? bytes : bytes.slice();
    this.words = type === 'F32'
      ? new Float32Array(buffer, byteOffset, rows * width)
      : new Uint16Array(buffer, byteOffset, rows * width);
    this.row = new Float32Array(width);
    this.rowBits = new Uint32Array(this.row.buffer);
  }

  get byteLength(): number {
    return this.words.byteLength;
  }

  lookUp(id: number, out: Float32Array, at: number): void {
    const { words, row, rowBits, width } = this;
    const start = id * width;
    if (this.type === 'BF16') for (let j = 0; j < width; j++) rowBits[j] = words[start + j] << 16;
    else if (this.type === 'F16') for (let j = 0; j < width; j++) rowBits[j] = float16ToFloat32Bits(words[start + j]);
    else for (let j = 0; j < width; j++) row[j] = words[start + j];
    out.set(row, at);
  }
}
