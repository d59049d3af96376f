import { i16x8, i8x16, v128, type V128 } from '../../wasm/instructions.js';
import type { Body, Func, Local, ModuleBuilder } from '../../wasm/module.js';
import { DOT_QUAD_BYTES } from './dot-layout.js';
import { createCodeCheck, transposeRows, VECTORS_PARAMETERS } from './pack.js';
import { GROUP_VECTORS_PARAMETERS } from './pack-groups.js';
import { bytes, splatByte, words } from './vectors.js';

/* Sixteen rows of codes, four to a byte, to the packing of dot-layout.ts: what pack.ts and pack-groups.ts leave to it. */

/** Code that turns four bytes of four codes each around: byte n becomes code n of each, the first one's lowest; code 2 of the first one 3. */
function createTurn(b: Body): (rows: readonly Local<'v128'>[]) => void {
  const other = b.local('v128');
  const [nibble, pair, low] = [b.local('v128', splatByte(0x0f)), b.local('v128', splatByte(0x33)), b.local('v128', splatByte(0x01))] as const;
  const swap = (x: Local<'v128'>, y: Local<'v128'>, bits: number, mask: V128): void => {
    b.set(other, v128.xor(v128.and(i16x8.shrU(x, bits), mask), v128.and(y, mask)));
    b.set(y, v128.xor(y, other));
    b.set(x, v128.xor(x, i16x8.shl(other, bits)));
  };
  return (rows) => {
    const [r0, r1, r2, r3] = rows as [Local<'v128'>, Local<'v128'>, Local<'v128'>, Local<'v128'>];
    swap(r0, r2, 4, nibble);
    swap(r1, r3, 4, nibble);
    swap(r0, r1, 2, pair);
    swap(r2, r3, 2, pair);
    for (const row of rows) b.set(row, v128.or(row, v128.and(i16x8.shrU(row, 1), low)));
  };
}

/** dotVectors: 16 bytes of codes of 16 rows to 16 vectors of the packing, 4 quads for each n (pack.ts). */
export function emitDotVectors(module: ModuleBuilder): Func {
  return module.func('dotVectors', VECTORS_PARAMETERS, (b, { from, stride, out, work }) => {
    const check = createCodeCheck(b, work);
    const turn = createTurn(b);
    /** [lane][n] */
    const rows = Array.from({ length: 4 }, () => b.locals('v128', 4));
    const half = b.locals('v128', 4);
    for (let row = 0; row < 16; row++) {
      const x = rows[row & 3]![row >> 2]!;
      b.set(x, v128.load(from));
      if (row < 15) b.increase(from, stride);
      check.look(x);
    }
    check.finish();
    rows.forEach(turn);
    /** Words of 32 bits of two vectors in turn: their first or last two. */
    const weave = (a: V128, c: V128, first: 0 | 2): V128 =>
      i8x16.shuffle(a, c, words([first, first + 4, first + 1, first + 5]));
    for (let n = 0; n < 4; n++) {
      const lane = (k: number): Local<'v128'> => rows[k]![n]!;
      ([[0, 2, 0], [0, 2, 2], [1, 3, 0], [1, 3, 2]] as const).forEach(([a, c, first], k) => b.set(half[k]!, weave(lane(a), lane(c), first)));
      for (let quad = 0; quad < 4; quad++) {
        const [a, c] = quad < 2 ? [half[0], half[2]] : [half[1], half[3]];
        b.run(v128.store(out, weave(a, c, quad % 2 === 0 ? 0 : 2), (8 * n + quad) * DOT_QUAD_BYTES));
      }
    }
  });
}

/** dotGroupVectors: 16 bytes of codes of 16 rows to 16 or 32 vectors of the packing, of as many quads (pack-groups.ts). */
export function emitDotGroupVectors(module: ModuleBuilder): Func {
  return module.func('dotGroupVectors', GROUP_VECTORS_PARAMETERS, (b, { from, stride, out, isBinary }) => {
    const turn = createTurn(b);
    const [x, at, nibble] = [b.local('v128'), b.local('i32'), b.local('v128', splatByte(15))] as const;
    // Four bits that are -1 and 1, as codes of 0 and 2.
    const signs = b.local('v128', bytes((n) => [0, 1, 2, 3].reduce((byte, k) => byte | (((n >> k) & 1) << (2 * k + 1)), 0)));
    const rows = b.locals('v128', 16);
    const pack = (quadOf: (n: number) => number, code: () => V128): void => {
      b.set(at, from);
      // Those of a lane next to each other: the order of bytes that are turned around.
      for (let row = 0; row < 16; row++) {
        b.set(x, v128.load(at));
        b.increase(at, stride);
        b.set(rows[4 * (row & 3) + (row >> 2)]!, code());
      }
      for (let lane = 0; lane < 4; lane++) turn(rows.slice(4 * lane, 4 * lane + 4));
      transposeRows(b, rows, x).forEach((vector, n) => b.run(v128.store(out, vector, quadOf(n) * DOT_QUAD_BYTES)));
    };
    b.if(isBinary, () => {
      pack((n) => 2 * n, () => i8x16.swizzle(signs, v128.and(x, nibble)));
      pack((n) => 2 * n + 1, () => i8x16.swizzle(signs, v128.and(i16x8.shrU(x, 4), nibble)));
    }, () => pack((n) => n, () => x));
  });
}
