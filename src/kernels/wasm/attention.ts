import { f32, f32x4, i32, v128, type I32 } from '../../wasm/instructions.js';
import type { Func, ModuleBuilder, Parameters } from '../../wasm/module.js';
import { PAGE_POSITIONS } from '../kernels.js';
import { BUNDLES, emitBegin, emitBundle, emitEnd, emitSoftmax, stateBytes, UNIT } from './attention-queries.js';
import { STORED } from './half.js';
import { UNITS, WORK_BYTES } from './jobs.js';
import { splatF32, ZERO } from './vectors.js';

/* The attention of `scalar/attention.ts` in vectors of four, in the same order of operations: change both or none. */

/** Tokens whose queries go through the keys together, at most. */
const UNIT_TOKENS = 32;

/** Units are kv heads times tiles of `unitTokens` tokens. */
export const ATTENTION_PARAMETERS = {
  q: 'i32', heads: 'i32', elements: 'i32', pageBytes: 'i32', kvHeads: 'i32', headDim: 'i32', isHalf: 'i32', pages: 'i32', firstPage: 'i32',
  row: 'i32', tokens: 'i32', position: 'i32', window: 'i32', scale: 'f32', out: 'i32', unitTokens: 'i32', ...UNITS,
} as const satisfies Parameters;

/** The address of the page that holds a position. */
export function pageAt(position: I32, p: { elements: I32; pageBytes: I32; pages: I32; firstPage: I32 }): I32 {
  const index = i32.sub(i32.shrU(position, 6), p.firstPage);
  return i32.add(p.elements, i32.mul(i32.load(i32.add(p.pages, i32.shl(index, 2))), p.pageBytes));
}

/** Where a unit of attention keeps what in its thread's work space: sums on their way, a tile of keys or values, then the states of its queries. */
const WORK = { spare: 0, tile: 128, state: 128 + 64 * 1024 * 2 } as const;
/** A tile of 64 rows of float32 must fit before `WORK.state`. */
const MAX_HEAD_DIM = 512;
/** From so much on, queries would not be finite 2¹¹² times larger (attention-queries.ts). */
const TOO_LARGE = 2 ** 16;

const roundUp = (x: I32, step: number): I32 => i32.and(i32.add(x, step - 1), -step);

/** How many tokens' queries a unit has room for, when each has `group` to a kv head; 0 if not even one's. */
export function unitTokens(group: number, headDim: number): number {
  if (headDim > MAX_HEAD_DIM) return 0;
  return Math.min(UNIT_TOKENS, Math.floor((WORK_BYTES - WORK.state) / (group * stateBytes(4 * 8 * Math.ceil(headDim / 8)))));
}

export function emitAttention(module: ModuleBuilder, widen: Func): Func {
  const functions = BUNDLES.map((bundle) => ({
    bundle, softmax: emitSoftmax(module, bundle), float: emitBundle(module, bundle, false), half: emitBundle(module, bundle, true),
  }));
  const [begin, end] = [emitBegin(module), emitEnd(module)] as const;
  return module.func('attention', ATTENTION_PARAMETERS, (b, p) => {
    const [unit, kvHead, firstToken, count, t, g, state, query, tile, from, to, start, seen, rows, first, last] = b.locals('i32', 16);
    const group = b.local('i32', i32.divU(p.heads, p.kvHeads));
    const tiles = b.local('i32', i32.divU(i32.add(p.tokens, i32.sub(p.unitTokens, 1)), p.unitTokens));
    const headBytes = b.local('i32', i32.shl(p.headDim, 2));
    const padded = b.local('i32', roundUp(p.headDim, 8));
    const queryStateBytes = b.local('i32', i32.add(stateBytes(0), i32.shl(padded, 3)));
    const elementShift = b.local('i32', i32.sub(2, p.isHalf));
    const headElements = b.local('i32', i32.mul(p.headDim, PAGE_POSITIONS));
    const valuesOffset = b.local('i32', i32.shl(i32.mul(p.kvHeads, headElements), elementShift));
    const scratch = b.local('i32', i32.add(p.work, WORK.tile));
    // Float16 is read as it is where there is one token. Else a tile is made float32, once for all queries.
    const [direct, n] = b.locals('i32', 2);
    const [large, limit] = [b.local('v128'), b.local('v128', splatF32(TOO_LARGE))] as const;
    const unitOfHalf = b.local('f32');
    type Functions = (typeof functions)[number];
    /** Runs `body` for the queries of token t, a bundle at a time: `state` is its state, `query` where its queries are in bytes from the start of q. */
    const forBundles = (body: (functions: Functions) => void): void => {
      b.set(query, i32.mul(i32.add(i32.mul(i32.add(p.row, t), p.heads), i32.mul(kvHead, group)), headBytes));
      b.set(g, group);
      for (const each of functions) {
        b.while(i32.geU(g, each.bundle), () => {
          body(each);
          b.increase(state, i32.mul(queryStateBytes, each.bundle));
          b.increase(query, i32.mul(headBytes, each.bundle));
          b.increase(g, -each.bundle);
        });
      }
    };
    const forTokens = (body: () => void): void => {
      b.set(state, i32.add(p.work, WORK.state));
      b.for(t, firstToken, i32.add(firstToken, count), 1, body);
    };
    /** Runs `body` for the bundles that see some of a tile, which is positions first … last - 1. */
    const forSeeing = (tileStart: I32, body: (functions: Functions) => void): void => forTokens(() => {
      b.set(last, i32.sub(i32.add(i32.add(p.position, t), 1), tileStart));
      b.set(first, i32.sub(last, p.window));
      b.set(first, i32.select(first, 0, i32.gtS(first, 0)));
      b.set(last, i32.select(last, PAGE_POSITIONS, i32.ltS(last, PAGE_POSITIONS)));
      b.if(i32.gtS(last, first), () => forBundles(body), () => b.increase(state, i32.mul(queryStateBytes, group)));
    });
    /** Keys or values of the tile: where they are. */
    const rowsOf = (offset: I32 | undefined): void => {
      const page = i32.add(pageAt(i32.shl(tile, 6), p), i32.shl(i32.mul(kvHead, headElements), elementShift));
      b.set(rows, offset ? i32.add(page, offset) : page);
      b.if(i32.gtS(p.isHalf, direct), () => {
        b.run(widen.call(i32.add(rows, i32.shl(i32.mul(from, p.headDim), 1)), i32.add(scratch, i32.mul(from, headBytes)), i32.mul(i32.sub(to, from), p.headDim), STORED.F16));
        b.set(rows, scratch);
      });
    };
    b.for(unit, p.first, p.last, 1, () => {
      b.set(kvHead, i32.divU(unit, tiles));
      b.set(firstToken, i32.mul(i32.sub(unit, i32.mul(kvHead, tiles)), p.unitTokens));
      b.set(count, i32.minU(p.unitTokens, i32.sub(p.tokens, firstToken)));
      b.set(direct, i32.and(p.isHalf, i32.eq(p.tokens, 1)));
      b.set(large, ZERO);
      b.set(query, i32.add(p.q, i32.mul(i32.add(i32.mul(p.row, p.heads), i32.mul(kvHead, group)), headBytes)));
      b.for(n, query, i32.add(query, i32.mul(direct, i32.mul(group, headBytes))), 16, () => b.set(large, v128.or(large, f32x4.ge(f32x4.abs(v128.load(n)), limit))));
      b.if(v128.anyTrue(large), () => b.set(direct, i32.const(0)));
      b.set(unitOfHalf, f32.const(UNIT.float));
      b.if(direct, () => b.set(unitOfHalf, f32.const(UNIT.half)));
      forTokens(() => forBundles(({ bundle }) => b.run(begin.call(i32.add(p.q, query), state, bundle, p.headDim, padded, direct, unitOfHalf))));
      // The tiles that any of these tokens sees.
      b.set(start, i32.add(p.position, i32.add(firstToken, 1)));
      b.set(start, i32.select(i32.sub(start, p.window), 0, i32.gtS(start, p.window)));
      b.set(seen, i32.add(p.position, i32.add(firstToken, count)));
      b.for(tile, i32.shrU(start, 6), i32.shrU(i32.add(seen, PAGE_POSITIONS - 1), 6), 1, () => {
        const tileStart = i32.shl(tile, 6);
        // Of the tile, positions from … to - 1 are seen by some token; products may run on to a multiple of eight.
        b.set(from, i32.select(i32.sub(start, tileStart), 0, i32.gtS(start, tileStart)));
        b.set(from, i32.and(from, -8));
        b.set(to, i32.minU(PAGE_POSITIONS, roundUp(i32.sub(seen, tileStart), 8)));
        rowsOf(undefined);
        forSeeing(tileStart, ({ softmax, ...kinds }) => {
          const score = (kind: 'float' | 'half') => (): void =>
            b.run(kinds[kind].score.call(state, rows, p.headDim, padded, i32.and(first, -8), roundUp(last, 8), p.scale, i32.add(p.work, WORK.spare), i32.select(valuesOffset, 0, i32.eq(p.tokens, 1))));
          b.if(direct, score('half'), score('float'));
          b.run(softmax.call(state, first, last, unitOfHalf));
        });
        rowsOf(valuesOffset);
        forSeeing(tileStart, (kinds) => {
          const mix = (kind: 'float' | 'half') => (): void => b.run(kinds[kind].mix.call(state, rows, p.headDim, padded, first, last));
          b.if(direct, mix('half'), mix('float'));
        });
      });
      forTokens(() => forBundles(({ bundle }) => b.run(end.call(state, i32.add(p.out, query), bundle, p.headDim, direct))));
    });
  });
}
