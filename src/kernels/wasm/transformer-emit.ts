import { f32, f32x4, i32, i8x16, v128, type F32, type I32, type V128 } from '../../wasm/instructions.js';
import type { Func, ModuleBuilder, Parameters } from '../../wasm/module.js';
import { ACTIVATION_GROUP, PAGE_POSITIONS } from '../kernels.js';
import { ATTENTION_PARAMETERS, emitAttention, pageAt } from './attention.js';
import { emitDot4, ROWS } from './dot.js';
import { forElements, forVectors, TOGETHER } from './elementwise.js';
import { createToHalf, emitWiden, STORED } from './half.js';
import { UNITS } from './jobs.js';
import { createSigmoid } from './sigmoid.js';
import { INTEGER_IN_LOW_BITS, splatF32 } from './vectors.js';

/*
 * The kernels of `scalar/feed-forward.ts`, `scalar/attention.ts` and `scalar/float-matmul.ts` in vectors of four, in the same order of
 * operations: change both or none.
 */

const { add, sub, mul } = f32x4;

/** The first byte of each 32-bit lane, put first. */
const LOWEST_BYTES = [0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12];

export const TRANSFORMER_PARAMETERS = {
  /** Units are tokens. */
  quantize: { x: 'i32', width: 'i32', q: 'i32', qScales: 'i32', ...UNITS },
  /** Units are tokens. */
  quantizeGroups: { x: 'i32', width: 'i32', q: 'i32', qScales: 'i32', ...UNITS },
  /** Units are elements. */
  glu: { a: 'i32', b: 'i32', isSilu: 'i32', out: 'i32', ...UNITS },
  /** Units are tokens. */
  rotate: { x: 'i32', heads: 'i32', headDim: 'i32', pairs: 'i32', angles: 'i32', ...UNITS },
  /** Units are tokens. */
  storeKeysValues: {
    keys: 'i32', values: 'i32', elements: 'i32', pageBytes: 'i32', kvHeads: 'i32', headDim: 'i32', isHalf: 'i32', pages: 'i32', firstPage: 'i32',
    row: 'i32', position: 'i32', ...UNITS,
  },
  attention: ATTENTION_PARAMETERS,
  /** Units are four rows, a quarter of all apart: so that four streams go through memory without an end. */
  floatMatmul: { table: 'i32', stored: 'i32', rows: 'i32', x: 'i32', columns: 'i32', tokens: 'i32', out: 'i32', ...UNITS },
} as const satisfies Record<string, Parameters>;

export type TransformerKernelName = keyof typeof TRANSFORMER_PARAMETERS;

/** In the order of `TRANSFORMER_PARAMETERS`. */
export function emitTransformer(module: ModuleBuilder): readonly Func[] {
  const widen = emitWiden(module);
  return [
    emitQuantize(module), emitQuantizeGroups(module), emitGlu(module), emitRotate(module), emitStoreKeysValues(module), emitAttention(module, widen),
    emitFloatMatmul(module, widen),
  ];
}

function emitQuantize(module: ModuleBuilder): Func {
  return module.func('quantize', TRANSFORMER_PARAMETERS.quantize, (b, p) => {
    const [x, q, t] = b.locals('i32', 3);
    const [maximum, toInt8] = b.locals('v128', 2);
    const largest = b.local('f32');
    const toInteger = b.local('v128', splatF32(INTEGER_IN_LOW_BITS));
    const values = b.local('v128');
    b.for(t, p.first, p.last, 1, () => {
      const row = i32.mul(t, p.width);
      b.set(x, i32.add(p.x, i32.shl(row, 2)));
      b.set(maximum, splatF32(1e-5));
      forElements(b, p.width, 4, [[x, 4]], ({ load }) => b.set(maximum, f32x4.pmax(maximum, f32x4.abs(load(x)))));
      const lane = (n: number): F32 => f32x4.extractLane(maximum, n);
      b.set(largest, f32.max(f32.max(lane(0), lane(1)), f32.max(lane(2), lane(3))));
      b.set(toInt8, f32x4.splat(f32.div(f32.const(127), largest)));
      b.run(f32.store(i32.add(p.qScales, i32.shl(t, 2)), f32.div(largest, f32.const(127))));
      b.set(x, i32.add(p.x, i32.shl(row, 2)));
      b.set(q, i32.add(p.q, row));
      forElements(b, p.width, 2, [[x, 4], [q, 1]], ({ load, storeBytes }) => {
        b.set(values, add(mul(load(x), toInt8), toInteger));
        b.run(storeBytes(q, i8x16.shuffle(values, values, LOWEST_BYTES)));
      });
    });
  });
}

function emitQuantizeGroups(module: ModuleBuilder): Func {
  return module.func('quantizeGroups', TRANSFORMER_PARAMETERS.quantizeGroups, (b, p) => {
    const [x, q, t, from, column, width] = b.locals('i32', 6);
    const [maximum, values] = b.locals('v128', 2);
    const largest = b.local('f32');
    const toInteger = b.local('v128', splatF32(INTEGER_IN_LOW_BITS));
    const most = b.local('v128', splatF32(127));
    const groups = b.local('i32', i32.shrU(i32.add(p.width, ACTIVATION_GROUP - 1), Math.log2(ACTIVATION_GROUP)));
    b.increase(p.qScales, i32.shl(i32.mul(p.first, groups), 2));
    b.set(from, i32.add(p.x, i32.shl(i32.mul(p.first, p.width), 2)));
    b.set(q, i32.add(p.q, i32.mul(p.first, p.width)));
    b.for(t, p.first, p.last, 1, () => b.for(column, 0, p.width, ACTIVATION_GROUP, () => {
      b.set(width, i32.minU(ACTIVATION_GROUP, i32.sub(p.width, column)));
      b.set(x, from);
      b.set(maximum, splatF32(1e-5));
      forElements(b, width, 4, [[x, 4]], ({ load }) => b.set(maximum, f32x4.pmax(maximum, f32x4.abs(load(x)))));
      const lane = (n: number): F32 => f32x4.extractLane(maximum, n);
      b.set(largest, f32.max(f32.max(lane(0), lane(1)), f32.max(lane(2), lane(3))));
      b.set(maximum, f32x4.splat(largest));
      b.run(f32.store(p.qScales, f32.div(largest, f32.const(127))));
      b.increase(p.qScales, 4);
      forElements(b, width, 2, [[from, 4], [q, 1]], ({ load, storeBytes }) => {
        b.set(values, add(mul(f32x4.div(load(from), maximum), most), toInteger));
        b.run(storeBytes(q, i8x16.shuffle(values, values, LOWEST_BYTES)));
      });
    }));
  });
}

function emitGlu(module: ModuleBuilder): Func {
  return module.func('glu', TRANSFORMER_PARAMETERS.glu, (b, p) => {
    const sigmoid = createSigmoid(b);
    const zero = b.local('v128', splatF32(0));
    for (const pointer of [p.a, p.b, p.out]) b.increase(pointer, i32.shl(p.first, 2));
    const all = (activate: (xs: readonly V128[]) => V128[]): void => {
      forVectors(b, i32.sub(p.last, p.first), TOGETHER, [[p.a, 4], [p.b, 4], [p.out, 4]], (accesses) => {
        activate(accesses.map(({ load }) => load(p.a))).forEach((value, k) => {
          b.run(accesses[k]!.store(p.out, mul(value, accesses[k]!.load(p.b))));
        });
      });
    };
    b.if(p.isSilu, () => all((xs) => sigmoid(xs).map((value, k) => mul(xs[k]!, value))), () => all((xs) => xs.map((x) => {
      const positive = b.local('v128', f32x4.pmax(zero, x));
      return mul(positive, positive);
    })));
  });
}

function emitRotate(module: ModuleBuilder): Func {
  return module.func('rotate', TRANSFORMER_PARAMETERS.rotate, (b, p) => {
    const [t, h, low, high, cosines, sines] = b.locals('i32', 6);
    const [x, y, cosine, sine] = b.locals('v128', 4);
    const pairBytes = b.local('i32', i32.shl(p.pairs, 2));
    b.for(t, p.first, p.last, 1, () => b.for(h, 0, p.heads, 1, () => {
      b.set(low, i32.add(p.x, i32.shl(i32.mul(i32.add(i32.mul(t, p.heads), h), p.headDim), 2)));
      b.set(high, i32.add(low, pairBytes));
      b.set(cosines, i32.add(p.angles, i32.mul(t, i32.shl(pairBytes, 1))));
      b.set(sines, i32.add(cosines, pairBytes));
      forElements(b, p.pairs, 1, [[low, 4], [high, 4], [cosines, 4], [sines, 4]], ({ load, store }) => {
        b.set(x, load(low));
        b.set(y, load(high));
        b.set(cosine, load(cosines));
        b.set(sine, load(sines));
        b.run(store(low, sub(mul(x, cosine), mul(y, sine))));
        b.run(store(high, add(mul(y, cosine), mul(x, sine))));
      });
    }));
  });
}

function emitStoreKeysValues(module: ModuleBuilder): Func {
  return module.func('storeKeysValues', TRANSFORMER_PARAMETERS.storeKeysValues, (b, p) => {
    const toHalf = createToHalf(b);
    const [t, h, position, from, to, source, n] = b.locals('i32', 7);
    const values = b.local('v128');
    const elementShift = b.local('i32', i32.sub(2, p.isHalf)); // bytes as a power of two
    const valuesOffset = b.local('i32', i32.shl(i32.mul(i32.mul(p.kvHeads, p.headDim), PAGE_POSITIONS), elementShift));
    const storeHead = (origin: I32, offset: I32 | undefined): void => {
      b.set(source, i32.add(origin, from));
      b.set(n, p.headDim);
      const at = offset ? i32.add(to, offset) : to;
      const target = b.local('i32', at);
      b.while(n, () => {
        b.set(values, v128.load(source));
        b.if(p.isHalf, () => {
          b.run(v128.store64Lane(target, toHalf(values), 0));
          b.increase(target, 8);
        }, () => {
          b.run(v128.store(target, values));
          b.increase(target, 16);
        });
        b.increase(source, 16);
        b.increase(n, -4);
      });
    };
    b.for(t, p.first, p.last, 1, () => {
      b.set(position, i32.add(p.position, t));
      b.for(h, 0, p.kvHeads, 1, () => {
        b.set(from, i32.shl(i32.mul(i32.add(i32.mul(i32.add(p.row, t), p.kvHeads), h), p.headDim), 2));
        const inPage = i32.mul(i32.add(i32.mul(h, PAGE_POSITIONS), i32.and(position, PAGE_POSITIONS - 1)), p.headDim);
        b.set(to, i32.add(pageAt(position, p), i32.shl(inPage, elementShift)));
        storeHead(p.keys, undefined);
        storeHead(p.values, valuesOffset);
      });
    });
  });
}

function emitFloatMatmul(module: ModuleBuilder, widen: Func): Func {
  const dots = { F32: emitDot4(module, 'F32'), F16: emitDot4(module, 'F16'), BF16: emitDot4(module, 'BF16') };
  return module.func('floatMatmul', TRANSFORMER_PARAMETERS.floatMatmul, (b, p) => {
    const [unit, rows, last, t, r, out] = b.locals('i32', 6);
    const sums = b.local('v128');
    const xBytes = b.local('i32', i32.shl(p.columns, 2));
    const rowBytes = b.local('i32', i32.shl(p.columns, i32.select(1, 2, p.stored)));
    const apart = b.local('i32', i32.shrU(i32.add(p.rows, ROWS - 1), Math.log2(ROWS)));
    // For several tokens rows are made float32 once.
    const stored = b.local('i32', i32.select(p.stored, STORED.F32, i32.eq(p.tokens, 1)));
    const widened = b.local('i32', i32.gtS(p.stored, stored));
    const stride = b.local('i32', i32.select(xBytes, i32.mul(apart, rowBytes), widened));
    b.for(unit, p.first, p.last, 1, () => {
      b.set(last, i32.divU(i32.sub(i32.sub(p.rows, 1), unit), apart));
      b.set(rows, i32.add(p.table, i32.mul(unit, rowBytes)));
      b.if(widened, () => {
        b.for(r, 0, i32.add(last, 1), 1, () => {
          // What is behind a row is not used.
          b.run(widen.call(i32.add(rows, i32.mul(i32.mul(r, apart), rowBytes)), i32.add(p.work, i32.mul(r, xBytes)), i32.and(i32.add(p.columns, 3), -4), p.stored));
        });
        b.set(rows, p.work);
      });
      b.for(t, 0, p.tokens, 1, () => {
        const dot = (type: keyof typeof dots) => (): void =>
          b.set(sums, dots[type].value(i32.add(p.x, i32.mul(t, xBytes)), rows, stride, p.columns, last));
        b.if(i32.eq(stored, STORED.F32), dot('F32'), () => b.if(i32.eq(stored, STORED.F16), dot('F16'), dot('BF16')));
        b.set(out, i32.add(p.out, i32.shl(i32.add(i32.mul(t, p.rows), unit), 2)));
        for (let lane = 0; lane < ROWS; lane++) {
          b.if(i32.geU(last, lane), () => b.run(v128.store32Lane(out, sums, lane)));
          b.increase(out, i32.shl(apart, 2));
        }
      });
    });
  });
}
