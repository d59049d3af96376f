import { f32, f32x4, i32, memory, v128, type F32, type I32, type V128 } from '../../wasm/instructions.js';
import type { Body, Func, ModuleBuilder, Parameters } from '../../wasm/module.js';
import { PAGE_POSITIONS } from '../kernels.js';
import { ROWS, sumLanes, type emitDot4 } from './dot.js';
import { createExp } from './exp.js';
import { createFromHalf, STORED } from './half.js';
import { UNITS } from './jobs.js';
import { splatF32 } from './vectors.js';

/* The attention of `scalar/attention.ts` in vectors of four, in the same order of operations: change both or none. */

const { add, sub, mul, div } = f32x4;

/** Tokens whose queries go through the keys together. */
export const QUERY_TOKENS = 16;
/** Queries of a token that share the loads of a key or a value. */
const FOUR = 4;

/** Units are kv heads times tiles of `QUERY_TOKENS` tokens. */
export const ATTENTION_PARAMETERS = {
  q: 'i32', heads: 'i32', elements: 'i32', pageBytes: 'i32', kvHeads: 'i32', headDim: 'i32', isHalf: 'i32', pages: 'i32', firstPage: 'i32',
  row: 'i32', tokens: 'i32', position: 'i32', window: 'i32', scale: 'f32', out: 'i32', ...UNITS,
} as const satisfies Parameters;

/** The address of the page that holds a position. */
export function pageAt(position: I32, p: { elements: I32; pageBytes: I32; pages: I32; firstPage: I32 }): I32 {
  const index = i32.sub(i32.shrU(position, 6), p.firstPage);
  return i32.add(p.elements, i32.mul(i32.load(i32.add(p.pages, i32.shl(index, 2))), p.pageBytes));
}

/** Where a unit of attention keeps what in its thread's work space: a tile of keys or values, then for each query its state. */
const WORK = { tile: 0, state: 64 * 1024 * 2 } as const;
/** A tile of 64 rows of float32 must fit before `WORK.state`. */
export const MAX_HEAD_DIM = 512;
/** Bytes of a query's state: maximum, total, visible range, weights [64], mixed [headDim]. */
const STATE = { maximum: 0, total: 4, first: 8, last: 12, weights: 16, mixed: 16 + 4 * PAGE_POSITIONS } as const;

/** Bytes of state that a unit of attention needs. */
export function attentionStateBytes(queries: number, headDim: number): number {
  return WORK.state + queries * (STATE.mixed + 4 * headDim);
}

export function emitAttention(module: ModuleBuilder, dot4: ReturnType<typeof emitDot4>, widen: Func): Func {
  const [score, softmax, mix] = [emitScore(module, dot4), emitSoftmax(module), emitMix(module)] as const;
  const [floats, halves] = [emitQuad(module, false), emitQuad(module, true)] as const;
  return module.func('attention', ATTENTION_PARAMETERS, (b, p) => {
    const locals = (): ReturnType<typeof b.local<'i32'>> => b.local('i32');
    const [unit, kvHead, firstToken, count, t, g, state, query, tile, from, to, begin, end, rows] =
      [locals(), locals(), locals(), locals(), locals(), locals(), locals(), locals(), locals(), locals(), locals(), locals(), locals(), locals()] as const;
    const group = b.local('i32', i32.divU(p.heads, p.kvHeads));
    const tiles = b.local('i32', i32.divU(i32.add(p.tokens, QUERY_TOKENS - 1), QUERY_TOKENS));
    const headBytes = b.local('i32', i32.shl(p.headDim, 2));
    const stateBytes = b.local('i32', i32.add(headBytes, STATE.mixed));
    const elementShift = b.local('i32', i32.sub(2, p.isHalf));
    const headElements = b.local('i32', i32.mul(p.headDim, PAGE_POSITIONS));
    const valuesOffset = b.local('i32', i32.shl(i32.mul(p.kvHeads, headElements), elementShift));
    const scratch = b.local('i32', i32.add(p.work, WORK.tile));
    // One token whose queries come by fours: float16 is made float32 on the way. Else a tile is, once for all queries.
    const direct = b.local('i32', i32.and(p.isHalf, i32.and(i32.eq(p.tokens, 1), i32.eqz(i32.and(group, FOUR - 1)))));
    /** Runs `body` for each query of the unit, or `four` for four of a token, `state` and `query` (bytes from the start of q) being its, or the first's. */
    const forQueries = (body: () => void, four?: () => void): void => {
      b.set(state, i32.add(p.work, WORK.state));
      b.for(t, firstToken, i32.add(firstToken, count), 1, () => {
        b.set(query, i32.mul(i32.add(i32.mul(i32.add(p.row, t), p.heads), i32.mul(kvHead, group)), headBytes));
        b.set(g, group);
        const go = (queries: number, what: () => void): void => {
          b.while(i32.geU(g, queries), () => {
            what();
            b.increase(state, i32.mul(stateBytes, queries));
            b.increase(query, i32.mul(headBytes, queries));
            b.increase(g, -queries);
          });
        };
        if (four) go(FOUR, four);
        go(1, body);
      });
    };
    /** Keys or values of the tile as float32: where they are. */
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
      b.set(firstToken, i32.mul(i32.sub(unit, i32.mul(kvHead, tiles)), QUERY_TOKENS));
      b.set(count, i32.minU(QUERY_TOKENS, i32.sub(p.tokens, firstToken)));
      forQueries(() => {
        b.run(f32.store(state, f32.const(-3e38)));
        b.run(f32.store(state, f32.const(0), STATE.total));
        b.run(memory.fill(i32.add(state, STATE.mixed), 0, headBytes));
      });
      // The tiles that any of these tokens sees.
      b.set(begin, i32.add(p.position, i32.add(firstToken, 1)));
      b.set(begin, i32.select(i32.sub(begin, p.window), 0, i32.gtS(begin, p.window)));
      b.set(end, i32.add(p.position, i32.add(firstToken, count)));
      b.for(tile, i32.shrU(begin, 6), i32.shrU(i32.add(end, PAGE_POSITIONS - 1), 6), 1, () => {
        const tileStart = i32.shl(tile, 6);
        // Of the tile, positions from … to - 1 are seen by some token; the last four rows of a dot product may run on, within the tile.
        b.set(from, i32.select(i32.sub(begin, tileStart), 0, i32.gtS(begin, tileStart)));
        b.set(from, i32.and(from, -ROWS));
        b.set(to, i32.minU(PAGE_POSITIONS, i32.and(i32.add(i32.sub(end, tileStart), ROWS - 1), -ROWS)));
        const ofFour = (which: 'score' | 'mix', ...args: readonly I32[]): void =>
          b.if(direct, () => b.run(halves[which].call(...args)), () => b.run(floats[which].call(...args)));
        rowsOf(undefined);
        forQueries(
          () => b.run(score.call(i32.add(p.q, query), state, rows, headBytes, p.headDim, from, to)),
          () => ofFour('score', i32.add(p.q, query), state, stateBytes, rows, headBytes, from, to, i32.add(rows, i32.select(0, valuesOffset, i32.gtS(p.isHalf, direct)))),
        );
        forQueries(() => b.run(softmax.call(state, headBytes, p.scale, i32.add(p.position, t), p.window, tileStart)));
        rowsOf(valuesOffset);
        forQueries(() => b.run(mix.call(state, rows, headBytes)), () => ofFour('mix', state, stateBytes, rows, headBytes));
      });
      forQueries(() => {
        const total = b.local('v128', f32x4.splat(f32.load(state, STATE.total)));
        const [source, target, left] = [b.local('i32', state), b.local('i32', i32.add(p.out, query)), b.local('i32', p.headDim)] as const;
        b.while(left, () => {
          b.run(v128.store(target, div(v128.load(source, STATE.mixed), total)));
          b.increase(source, 16);
          b.increase(target, 16);
          b.increase(left, -4);
        });
      });
    });
  });
}

/** score(q, state, keys, headBytes, headDim, from, to): q · k for the positions from … to - 1 of a tile. */
function emitScore(module: ModuleBuilder, dot4: ReturnType<typeof emitDot4>): Func {
  return module.func('attentionScore', { q: 'i32', state: 'i32', keys: 'i32', headBytes: 'i32', headDim: 'i32', from: 'i32', to: 'i32' }, (b, p) => {
    const n = b.local('i32');
    b.for(n, p.from, p.to, ROWS, () => {
      b.run(v128.store(i32.add(p.state, i32.shl(n, 2)), dot4.value(p.q, i32.add(p.keys, i32.mul(n, p.headBytes)), p.headBytes, p.headDim), STATE.weights));
    });
  });
}

/**
 * softmax(state, headBytes, scale, …): makes the weights of a tile's positions of what `score` left, 0 for those that the query does not see, and
 * brings what it has mixed so far to the new maximum.
 */
function emitSoftmax(module: ModuleBuilder): Func {
  const parameters = { state: 'i32', headBytes: 'i32', scale: 'f32', position: 'i32', window: 'i32', tileStart: 'i32' } as const;
  return module.func('attentionSoftmax', parameters, (b, p) => {
    const exp = createExp(b);
    const [first, last, n, weights, end] = [b.local('i32'), b.local('i32'), b.local('i32'), b.local('i32'), b.local('i32')] as const;
    const [vector, low, high, maxima] = [b.local('v128'), b.local('v128'), b.local('v128'), b.local('v128')] as const;
    const before = b.local('f32');
    b.set(weights, i32.add(p.state, STATE.weights));
    // first = max(0, position + 1 - window - tileStart), last = min(64, position + 1 - tileStart)
    b.set(first, i32.sub(i32.add(p.position, 1), p.tileStart));
    b.set(last, i32.select(first, PAGE_POSITIONS, i32.ltS(first, PAGE_POSITIONS)));
    b.set(first, i32.sub(first, p.window));
    b.set(first, i32.select(first, 0, i32.gtS(first, 0)));
    b.run(i32.store(p.state, first, STATE.first));
    b.run(i32.store(p.state, last, STATE.last));
    b.if(i32.gtS(last, first), () => {
      const scales = b.local('v128', f32x4.splat(p.scale));
      b.set(end, i32.add(weights, 4 * PAGE_POSITIONS));
      b.for(n, weights, end, 16, () => b.run(v128.store(n, mul(v128.load(n), scales))));
      b.for(n, 0, first, 1, () => b.run(f32.store(i32.add(weights, i32.shl(n, 2)), f32.const(-3e38))));
      b.for(n, last, PAGE_POSITIONS, 1, () => b.run(f32.store(i32.add(weights, i32.shl(n, 2)), f32.const(-3e38))));
      b.set(before, f32.load(p.state));
      b.set(vector, f32x4.splat(before));
      b.for(n, weights, end, 16, () => b.set(vector, f32x4.pmax(vector, v128.load(n))));
      const lane = (v: V128, k: number): F32 => f32x4.extractLane(v, k);
      const highest = f32.max(f32.max(lane(vector, 0), lane(vector, 1)), f32.max(lane(vector, 2), lane(vector, 3)));
      b.set(maxima, f32x4.splat(highest));
      b.run(f32.store(p.state, lane(maxima, 0)));
      b.set(low, splatF32(0));
      b.set(high, splatF32(0));
      b.for(n, weights, end, 32, () => {
        b.set(vector, exp(sub(v128.load(n), maxima)));
        b.run(v128.store(n, vector));
        b.set(low, add(low, vector));
        b.set(vector, exp(sub(v128.load(n, 16), maxima)));
        b.run(v128.store(n, vector, 16));
        b.set(high, add(high, vector));
      });
      b.set(low, add(low, high));
      const sum = f32.add(f32.add(lane(low, 0), lane(low, 2)), f32.add(lane(low, 1), lane(low, 3)));
      const correction = b.local('v128', exp(sub(f32x4.splat(before), maxima)));
      b.run(f32.store(p.state, f32.add(f32.mul(f32.load(p.state, STATE.total), lane(correction, 0)), sum), STATE.total));
      b.set(end, i32.add(p.state, p.headBytes));
      b.for(n, p.state, end, 16, () => b.run(v128.store(n, mul(v128.load(n, STATE.mixed), correction), STATE.mixed)));
    });
  });
}

/** Channels that are mixed together. */
const MIXED = 32;

/** mix(state, values, headBytes): adds the values of the positions that a query sees in a tile, weighted, one after another. */
function emitMix(module: ModuleBuilder): Func {
  return module.func('attentionMix', { state: 'i32', values: 'i32', headBytes: 'i32' }, (b, p) => {
    const [first, last, channel, n, value, weight] = [b.local('i32'), b.local('i32'), b.local('i32'), b.local('i32'), b.local('i32'), b.local('i32')] as const;
    const factor = b.local('v128');
    const sums = Array.from({ length: MIXED / 4 }, () => b.local('v128'));
    b.set(first, i32.load(p.state, STATE.first));
    b.set(last, i32.load(p.state, STATE.last));
    const left = b.local('i32', p.headBytes);
    b.set(channel, p.state);
    const block = (vectors: number): void => {
      b.while(i32.geU(left, 16 * vectors), () => {
        for (let k = 0; k < vectors; k++) b.set(sums[k]!, v128.load(channel, STATE.mixed + 16 * k));
        b.set(value, i32.add(i32.add(p.values, i32.mul(first, p.headBytes)), i32.sub(channel, p.state)));
        b.set(weight, i32.add(p.state, i32.shl(first, 2)));
        b.for(n, first, last, 1, () => {
          b.set(factor, v128.load32Splat(weight, STATE.weights));
          for (let k = 0; k < vectors; k++) b.set(sums[k]!, add(sums[k]!, mul(factor, v128.load(value, 16 * k))));
          b.increase(value, p.headBytes);
          b.increase(weight, 4);
        });
        for (let k = 0; k < vectors; k++) b.run(v128.store(channel, sums[k]!, STATE.mixed + 16 * k));
        b.increase(channel, 16 * vectors);
        b.increase(left, -16 * vectors);
      });
    };
    b.if(i32.gtS(last, first), () => {
      block(MIXED / 4);
      block(1);
    });
  });
}

/** What a row of floats, or of halves, has for eight channels, or for four. */
function createReadRow(b: Body, isHalf: boolean): { readonly bytes: 2 | 4; eight(at: I32, channel: number): readonly [V128, V128]; four(at: I32): V128 } {
  if (!isHalf) return { bytes: 4, eight: (at, channel) => [v128.load(at, 4 * channel), v128.load(at, 4 * channel + 16)], four: (at) => v128.load(at) };
  const fromHalf = createFromHalf(b);
  return { bytes: 2, eight: (at, channel) => fromHalf(v128.load(at, 2 * channel)), four: (at) => fromHalf(v128.load64Zero(at))[0] };
}

/**
 * `score` and `mix` for four queries of a token, whose states lie one after another, in one go through the rows. All of them see the same
 * positions.
 */
function emitQuad(module: ModuleBuilder, isHalf: boolean): { readonly score: Func; readonly mix: Func } {
  const kind = isHalf ? 'Half' : 'Float';
  const queries = [0, 1, 2, 3] as const;
  const score = module.func(`attentionScoreFour${kind}`, { q: 'i32', state: 'i32', stateBytes: 'i32', keys: 'i32', headBytes: 'i32', from: 'i32', to: 'i32', values: 'i32' }, (b, p) => {
    const row = createReadRow(b, isHalf);
    const [n, key, left] = [b.local('i32'), b.local('i32'), b.local('i32')] as const;
    const q = queries.map(() => b.local('i32'));
    const [low, high] = [queries.map(() => b.local('v128')), queries.map(() => b.local('v128'))];
    const [k0, k1] = [b.local('v128'), b.local('v128')] as const;
    const rowBytes = b.local('i32', isHalf ? i32.shrU(p.headBytes, 1) : p.headBytes);
    b.set(key, i32.add(p.keys, i32.mul(p.from, rowBytes)));
    // `mix` goes through the values in columns: here they are touched in rows, as memory likes to be read.
    const [toValues, touched] = [b.local('i32', i32.sub(p.values, p.keys)), b.local('i32')] as const;
    b.for(n, p.from, p.to, 1, () => {
      queries.forEach((g) => {
        b.set(q[g]!, i32.add(p.q, i32.mul(p.headBytes, g)));
        b.set(low[g]!, splatF32(0));
        b.set(high[g]!, splatF32(0));
      });
      b.set(left, p.headBytes);
      const step = (channels: number): void => {
        b.while(i32.geU(left, 4 * channels), () => {
          for (let channel = 0; channel < channels; channel += 8) {
            const [first, second] = row.eight(key, channel);
            b.set(k0, first);
            b.set(k1, second);
            queries.forEach((g) => {
              b.set(low[g]!, add(low[g]!, mul(k0, v128.load(q[g]!, 4 * channel))));
              b.set(high[g]!, add(high[g]!, mul(k1, v128.load(q[g]!, 4 * channel + 16))));
            });
          }
          for (let bytes = 0; bytes < row.bytes * channels; bytes += 64) b.set(touched, i32.or(touched, i32.load(i32.add(key, toValues), bytes)));
          for (const pointer of q) b.increase(pointer, 4 * channels);
          b.increase(key, row.bytes * channels);
          b.increase(left, -4 * channels);
        });
      };
      step(32);
      step(8);
      b.if(left, () => {
        b.set(k0, row.four(key));
        queries.forEach((g) => b.set(low[g]!, add(low[g]!, mul(k0, v128.load(q[g]!)))));
        b.increase(key, 4 * row.bytes);
      });
      b.set(k0, sumLanes(b, low, high));
      const at = b.local('i32', i32.add(p.state, i32.shl(n, 2)));
      queries.forEach((g) => {
        b.run(v128.store32Lane(at, k0, g, STATE.weights));
        if (g < 3) b.increase(at, p.stateBytes);
      });
    });
    b.run(i32.store(p.state, touched, STATE.first)); // where `softmax` writes next: so that nobody leaves the loads out
  });
  const mix = module.func(`attentionMixFour${kind}`, { state: 'i32', stateBytes: 'i32', values: 'i32', headBytes: 'i32' }, (b, p) => {
    const row = createReadRow(b, isHalf);
    const [n, value, first, last, channel] = [b.local('i32'), b.local('i32'), b.local('i32'), b.local('i32'), b.local('i32')] as const;
    const state = queries.map((g) => b.local('i32', i32.add(p.state, i32.mul(p.stateBytes, g))));
    const [weight, sums, more] = [queries.map(() => b.local('i32')), queries.map(() => b.local('v128')), queries.map(() => b.local('v128'))];
    const [v0, v1, factor] = [b.local('v128'), b.local('v128'), b.local('v128')] as const;
    const rowBytes = b.local('i32', isHalf ? i32.shrU(p.headBytes, 1) : p.headBytes);
    b.set(first, i32.load(p.state, STATE.first));
    b.set(last, i32.load(p.state, STATE.last));
    const block = (vectors: 1 | 2): void => {
      queries.forEach((g) => {
        b.set(weight[g]!, i32.add(state[g]!, channel));
        b.set(sums[g]!, v128.load(weight[g]!, STATE.mixed));
        if (vectors > 1) b.set(more[g]!, v128.load(weight[g]!, STATE.mixed + 16));
      });
      b.set(value, i32.add(i32.add(p.values, i32.mul(first, rowBytes)), isHalf ? i32.shrU(channel, 1) : channel));
      queries.forEach((g) => b.set(weight[g]!, i32.add(state[g]!, i32.shl(first, 2))));
      b.set(n, i32.sub(last, first));
      // Four positions at a time, then one: fewer steps of the pointers.
      for (const positions of [4, 1]) {
        b.while(i32.geU(n, positions), () => {
          for (let position = 0; position < positions; position++) {
            if (vectors > 1) {
              const [low, high] = row.eight(value, 0);
              b.set(v0, low);
              b.set(v1, high);
            } else b.set(v0, row.four(value));
            queries.forEach((g) => {
              b.set(factor, v128.load32Splat(weight[g]!, STATE.weights + 4 * position));
              b.set(sums[g]!, add(sums[g]!, mul(factor, v0)));
              if (vectors > 1) b.set(more[g]!, add(more[g]!, mul(factor, v1)));
            });
            b.increase(value, rowBytes);
          }
          for (const pointer of weight) b.increase(pointer, 4 * positions);
          b.increase(n, -positions);
        });
      }
      queries.forEach((g) => {
        b.set(weight[g]!, i32.add(state[g]!, channel));
        b.run(v128.store(weight[g]!, sums[g]!, STATE.mixed));
        if (vectors > 1) b.run(v128.store(weight[g]!, more[g]!, STATE.mixed + 16));
      });
    };
    b.if(i32.gtS(last, first), () => {
      b.set(channel, i32.const(0));
      b.while(i32.geU(i32.sub(p.headBytes, channel), 32), () => {
        block(2);
        b.increase(channel, 32);
      });
      b.if(i32.ltU(channel, p.headBytes), () => block(1));
    });
  });
  return { score, mix };
}
