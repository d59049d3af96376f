/** Sixteen bytes, seen as lanes of every kind: what the definitions of vector instructions are written with. */
export interface Lanes {
  readonly u8: Uint8Array;
  readonly i8: Int8Array;
  readonly u16: Uint16Array;
  readonly i16: Int16Array;
  readonly u32: Uint32Array;
  readonly i32: Int32Array;
  readonly f32: Float32Array;
}

export type LaneKind = keyof Lanes;

export function lanesOf(bytes: ArrayLike<number>): Lanes {
  const { buffer } = Uint8Array.from(bytes);
  return {
    u8: new Uint8Array(buffer), i8: new Int8Array(buffer), u16: new Uint16Array(buffer), i16: new Int16Array(buffer),
    u32: new Uint32Array(buffer), i32: new Int32Array(buffer), f32: new Float32Array(buffer),
  };
}

/** A vector whose lanes of that kind are `value(lane)`; whole numbers wrap, floats are rounded. */
export function vector(kind: LaneKind, value: (lane: number) => number): Lanes {
  const lanes = lanesOf(new Uint8Array(16));
  for (let n = 0; n < lanes[kind].length; n++) lanes[kind][n] = value(n);
  return lanes;
}
