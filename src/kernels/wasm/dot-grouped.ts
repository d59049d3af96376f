import { f32x4, i32, v128 } from '../../wasm/instructions.js';
import type { Func, ModuleBuilder, Parameters } from '../../wasm/module.js';
import { ACTIVATION_GROUP } from '../kernels.js';
import { TILE_ARGUMENTS, type TileFunctions } from './batch.js';
import { DOT_PLACES, ROW_GROUP, unpackDotRow } from './dot-layout.js';
import { emitDotGroupVectors } from './dot-pack.js';
import { createDots, DOT_ARGUMENTS, groupsOf, halfOf, prepare, RESULTS, TOUCHED_BYTES, touchNext, writeGroup, type DotFunctions } from './dot-rows.js';
import { emitGroupedTile } from './grouped.js';
import { UNITS } from './jobs.js';
import { emitPackGroups, packGroups, PACK_GROUPS_PARAMETERS } from './pack-groups.js';
import type { Multiplier } from './multiply.js';
import type { GroupedCalls } from './products.js';
import type { Runner } from './runner.js';
import { ZERO } from './vectors.js';

/*
 * Dot products whose scales are for groups of columns (`TransformerKernels.groupedMatmul`): those of dot-rows.ts, but that the sums of each
 * group become float32 at once, and are scaled.
 */

const ROWS = { ...DOT_ARGUMENTS, group: 'i32', ...UNITS } as const;

const TILE = { ...TILE_ARGUMENTS, group: 'i32', ...UNITS } as const;

export const DOT_GROUPED_PARAMETERS = { groupedRows: ROWS, groupedTile16: TILE, groupedTile32: TILE, packGroups: PACK_GROUPS_PARAMETERS } as const satisfies Record<string, Parameters>;

/** What JavaScript calls. */
export function callsOn(runner: Runner, multiplyBy: Multiplier): GroupedCalls {
  return {
    unpackRow: ({ packed, columns }, row, trits) => unpackDotRow(packed as Uint8Array, columns, row, trits),
    packGroups: (...args) => packGroups(runner, 1, ...args),
    multiply: multiplyBy('grouped'),
  };
}

/** In the order of `DOT_GROUPED_PARAMETERS`. */
export function emitDotGrouped(module: ModuleBuilder, functions: DotFunctions, tiles: readonly TileFunctions[]): Func[] {
  return [emitGroupedRows(module, functions), ...tiles.map((tile) => emitGroupedTile(module, tile)), emitPackGroups(module, DOT_PLACES, emitDotGroupVectors)];
}

/** Results of both streams while they grow: in the work space, as there are no variables left for them. */
const GROWING = RESULTS + 4 * ROW_GROUP;

function emitGroupedRows(module: ModuleBuilder, { sumUp, touch }: DotFunctions): Func {
  return module.func('groupedRows', ROWS, (b, p) => {
    const dots = createDots(b, 2, 1);
    const { stride, q, groupBytes, sums, width } = prepare(b, p, sumUp, p.group);
    const [n, t, at, end, groupEnd, sum] = [b.local('i32', halfOf(p.first, p.last)), b.local('i32'), b.local('i32'), b.local('i32'), b.local('i32'), b.local('i32')] as const;
    const row = [b.local('i32', p.first), b.local('i32', i32.sub(p.last, n))]; // groups of rows; of an odd number, one is done twice
    const streams = row.map((first) => b.local('i32', i32.add(p.packed, i32.mul(first, groupBytes))));
    const [weights, scales] = [streams.map(() => b.local('i32')), streams.map(() => b.local('i32'))];
    const [column, qScales, qScale, x] = [b.local('i32'), b.local('i32'), b.local('v128'), b.local('v128')] as const;
    const scaleBytes = b.local('i32', i32.shl(p.rows, 2));
    const tokenScales = b.local('i32', i32.shl(groupsOf(p.columns, i32.const(ACTIVATION_GROUP)), 2));
    const growing = (stream: number, f: number): number => GROWING + 16 * (4 * stream + f);
    b.run(touch.call(streams[0]!, streams[1]!, i32.minU(TOUCHED_BYTES, groupBytes), p.work));
    b.doWhile(() => {
      b.set(sum, sums);
      b.set(qScales, p.qScales);
      b.for(t, 0, p.tokens, 1, () => {
        b.set(at, i32.add(q, i32.mul(t, stride)));
        b.set(end, i32.add(at, width));
        weights.forEach((pointer, s) => b.set(pointer, streams[s]!));
        scales.forEach((pointer, s) => b.set(pointer, i32.add(p.scales, i32.shl(row[s]!, 6))));
        streams.forEach((_, s) => { for (let f = 0; f < 4; f++) b.run(v128.store(p.work, ZERO, growing(s, f))); });
        b.set(column, i32.const(0));
        b.doWhile(() => {
          b.set(groupEnd, i32.minU(i32.add(at, p.group), end));
          dots.add(weights, [at], groupEnd);
          b.set(qScale, v128.load32Splat(i32.add(qScales, i32.shl(i32.shrU(column, Math.log2(ACTIVATION_GROUP)), 2))));
          b.set(x, v128.load(sum));
          streams.forEach((_, s) => dots.finish(s, 0, x).forEach((values, f) => {
            const scaled = f32x4.mul(f32x4.convertI32x4S(values), f32x4.mul(v128.load(scales[s]!, 16 * f), qScale));
            b.run(v128.store(p.work, f32x4.add(v128.load(p.work, growing(s, f)), scaled), growing(s, f)));
          }));
          for (const pointer of scales) b.increase(pointer, scaleBytes);
          b.increase(column, p.group);
          b.increase(sum, 16);
        }, () => i32.ltU(at, end));
        row.forEach((group, s) => writeGroup(b, p, t, group, [0, 1, 2, 3].map((f) => v128.load(p.work, growing(s, f)))));
        b.increase(qScales, tokenScales);
      });
      for (const pointer of streams) b.increase(pointer, groupBytes);
      for (const group of row) b.increase(group, 1);
      b.increase(n, -1);
    }, () => n);
    touchNext(b, p, touch);
  });
}
