import { i16x8, i32, i32x4, i8x16, memory, v128, type V128 } from '../../wasm/instructions.js';
import type { Body, Func, Local, ModuleBuilder } from '../../wasm/module.js';
import type { TernaryBlockType, TernaryMatrix } from '../kernels.js';
import { WORK_BYTES } from './jobs.js';
import { COLUMN_BLOCK, paddedColumns, QUAD_BYTES, ROW_BLOCK, rowBlocks, type Places } from './layout.js';
import type { Runner, StageMemory } from './runner.js';
import { splatByte, ZERO } from './vectors.js';

/*
 * From ggml's ternary blocks to the packing of layout.ts, without a detour through single trits. A block has 256 weights, as a column
 * block has; so 32 rows of one block become 2 KiB that follow one another.
 *
 * TQ2_0: byte m (0–31) of half h (0, 1) holds columns 128h + m + 32n in bits 2n and 2n + 1, as weight + 1. Four bytes that follow one
 * another are therefore a quad for each n, and 16 of them become 16 bytes of the packing, of 16 quads; which are transposed together
 * with those of 15 other rows. TQ1_0 blocks are turned into TQ2_0 blocks first.
 *
 * Rows come through the work space of thread 0, from where all threads read them.
 *
 * Measured on AMD EPYC (Zen 5), one thread, 13824×2560, GB/s of packed bytes on Node 20 / 24: TQ2_0 2.4 / 3.4, TQ1_0 1.7 / 2.0; trit by
 * trit in JavaScript (decodeTernaryRow, packRow) 0.11 and 0.09. Constants written where they are used instead of in locals: 1.9 on Node 20.
 */

/** The weights of a block, without its scale, 16 bytes at a time. */
const CODE_BYTES = 64;
const BLOCK_BYTES: Readonly<Record<TernaryBlockType, number>> = { TQ1_0: 54, TQ2_0: 66 };
const TILE_BYTES = ROW_BLOCK * CODE_BYTES;

/** In the work space of each thread: a tile of the packing, one of TQ2_0 codes, and two vectors of what was found. */
const TILE = 0;
const CODES = TILE_BYTES;
const ZEROS = 2 * TILE_BYTES;
const FAULTS = ZEROS + 16;
/** In that of thread 0 also: which codes of a row's last block are padding, a result for each row block, and the rows. */
const MASK = ZEROS + 64;
const RESULTS = MASK + CODE_BYTES;
const STAGE = 8192;
const MAX_UNITS = (STAGE - RESULTS) / 4;
const STAGE_BYTES = WORK_BYTES - STAGE;

/** Four weights of 0: in TQ2_0, and in TQ1_0's groups of five and four trits a byte. */
const ZERO_CODES = 0x55;
const ZERO_FIVE = 128;
const ZERO_FOUR = 127;

export const PACK_PARAMETERS = {
  packed: 'i32', blocks: 'i32', panelBlocks: 'i32', columns: 'i32', firstBlock: 'i32', source: 'i32', rowBytes: 'i32',
  blockBytes: 'i32', mask: 'i32', results: 'i32', first: 'i32', last: 'i32', work: 'i32',
} as const;

/**
 * packBlocks: row blocks first … last - 1 of those at `source`, of which the first is `firstBlock` of the matrix; `columns` is a
 * multiple of 16. The result of each: how many of its codes are zeros, or -1 for rows that are not plain (see Kernels.packBlocks).
 */
export function emitPackBlocks(module: ModuleBuilder, { quadBytes, half: halfOf }: Places, emitVectors: (module: ModuleBuilder) => Func): Func {
  const packVectors = emitVectors(module);
  const decodeTQ1 = emitDecodeTQ1(module);
  const checkScales = emitCheckScales(module);
  const checkPadding = emitCheckPadding(module);
  return module.func('packBlocks', PACK_PARAMETERS, (b, p) => {
    const [unit, column, width, rows, from, stride] = b.locals('i32', 6);
    const [panel, count, out, to, n, at, half, isWhole] = b.locals('i32', 8);
    const total = b.local('v128');
    b.for(unit, p.first, p.last, 1, () => {
      b.run(v128.store(p.work, ZERO, ZEROS));
      b.run(v128.store(p.work, ZERO, FAULTS));
      b.set(rows, i32.add(p.source, i32.mul(unit, i32.mul(p.rowBytes, ROW_BLOCK))));
      b.run(checkScales.call(rows, p.rowBytes, p.blockBytes, p.work));
      b.set(n, i32.add(p.firstBlock, unit));
      b.set(panel, i32.mul(i32.divU(n, p.panelBlocks), p.panelBlocks));
      b.set(count, i32.minU(p.panelBlocks, i32.sub(p.blocks, panel)));
      b.set(n, i32.sub(n, panel));
      b.set(out, i32.add(p.packed, i32.mul(i32.mul(panel, ROW_BLOCK), i32.shrU(p.columns, 2))));
      b.for(column, 0, p.columns, COLUMN_BLOCK, () => {
        b.set(width, i32.minU(COLUMN_BLOCK, i32.sub(p.columns, column)));
        b.set(from, rows);
        b.set(stride, p.rowBytes);
        b.if(i32.eq(p.blockBytes, BLOCK_BYTES.TQ1_0), () => {
          b.set(from, i32.add(p.work, CODES));
          b.run(decodeTQ1.call(rows, stride, from));
          b.set(stride, i32.const(CODE_BYTES));
        });
        // A block has 64 quads, of which the last ones may be padding that the packing has no place for.
        b.set(at, i32.add(out, i32.mul(n, i32.mul(width, quadBytes / 4))));
        b.set(isWhole, i32.eq(width, COLUMN_BLOCK));
        b.set(to, i32.select(at, i32.add(p.work, TILE), isWhole));
        b.set(half, halfOf(i32.select(p.columns, COLUMN_BLOCK, isWhole)));
        for (let vector = 0; vector < CODE_BYTES / 16; vector++) {
          const codes = i32.add(from, vector * 16);
          const quads = i32.add(to, (32 * (vector >> 1) + 4 * (vector & 1)) * quadBytes);
          b.run(packVectors.call(codes, stride, quads, p.work));
          b.run(packVectors.call(i32.add(codes, i32.shl(stride, 4)), stride, i32.add(quads, half), p.work));
        }
        b.if(i32.eqz(isWhole), () => {
          b.run(memory.copy(at, to, i32.mul(width, quadBytes / 4)));
          if (quadBytes === 16) b.run(memory.copy(i32.add(at, halfOf(p.columns)), i32.add(to, half), i32.mul(width, quadBytes / 4)));
        });
        b.increase(out, i32.mul(count, i32.mul(width, quadBytes / 4)));
        b.increase(rows, p.blockBytes);
      });
      // `from` and `stride` are those of the last block.
      b.run(checkPadding.call(from, stride, p.mask, p.work));
      b.set(total, v128.load(p.work, ZEROS));
      const lanes = [0, 1, 2, 3].map((lane) => i32x4.extractLane(total, lane));
      const zeros = lanes.reduce((sum, lane) => i32.add(sum, lane));
      b.run(i32.store(i32.add(p.results, i32.shl(unit, 2)), i32.select(-1, zeros, v128.anyTrue(v128.load(p.work, FAULTS)))));
    });
  });
}

/** Adds bits to the faults found. */
function addFaults(b: Body, work: Local<'i32'>, faults: V128): void {
  b.run(v128.store(work, v128.or(v128.load(work, FAULTS), faults), FAULTS));
}

/** Code that looks through vectors of codes, on variables of its own. */
export function createCodeCheck(b: Body, work: Local<'i32'>): { look(x: Local<'v128'>): void; finish(): void } {
  const [low, faults, zeros] = [b.local('v128'), b.local('v128', ZERO), b.local('v128', ZERO)] as const;
  const oneOfFour = b.local('v128', splatByte(0x55));
  return {
    look(x) {
      b.set(low, v128.and(x, oneOfFour));
      b.set(zeros, i8x16.add(zeros, i8x16.popcnt(low))); // a code of 1, as 3 is a fault
      b.set(faults, v128.or(faults, v128.and(low, i16x8.shrU(x, 1))));
    },
    finish() {
      b.run(v128.store(work, i32x4.add(v128.load(work, ZEROS), i32x4.extaddPairwiseI16x8U(i16x8.extaddPairwiseI8x16U(zeros))), ZEROS));
      addFaults(b, work, faults);
    },
  };
}

export const VECTORS_PARAMETERS = { from: 'i32', stride: 'i32', out: 'i32', work: 'i32' } as const;

/** packVectors(from, stride, out, work): 16 bytes of codes of 16 rows to 16 vectors of the packing, 4 quads for each n. */
export function emitPackVectors(module: ModuleBuilder): Func {
  return module.func('packVectors', VECTORS_PARAMETERS, (b, { from, stride, out, work }) => {
    const check = createCodeCheck(b, work);
    const [x, pairs] = b.locals('v128', 2);
    const rows = b.locals('v128', 16);
    const twoOfFour = b.local('v128', splatByte(0x33));
    const timesThree = b.local('v128', i16x8.splat(0x0301));
    const stay = b.local('v128', i32x4.splat(0xf0f00f0f));
    const down = b.local('v128', i32x4.splat(0x0000f0f0));
    const up = b.local('v128', i32x4.splat(0x0f0f0000));
    const highByte = b.local('v128', i16x8.splat(0xff00));
    for (let row = 0; row < 16; row++) {
      b.set(x, v128.load(from));
      if (row < 15) b.increase(from, stride);
      check.look(x);
      // For a pair of bytes c0, c1: 256·(3·c0 + c1) and c0, where each of their nibbles holds a code; even n first, then odd n.
      const even = i16x8.shrU(i16x8.mul(v128.and(x, twoOfFour), timesThree), 8);
      const odd = v128.and(i16x8.mul(v128.and(i16x8.shrU(x, 2), twoOfFour), timesThree), highByte);
      b.set(pairs, v128.or(even, odd));
      // In 32 bits: nibbles of n = 0, 2, 1, 3 of the first pair, then of the second. Into a byte for each n go one of each.
      b.set(rows[2 * (row & 7) + (row >> 3)]!, v128.or(
        v128.and(pairs, stay),
        v128.or(v128.and(i32x4.shrU(pairs, 12), down), v128.and(i32x4.shl(pairs, 12), up)),
      ));
    }
    check.finish();
    // Byte 4j + n of each row: quad j of n.
    transposeRows(b, rows, x).forEach((vector, i) => b.run(v128.store(out, vector, (8 * (i & 3) + (i >> 2)) * QUAD_BYTES)));
  });
}

/** From 16 rows of 16 bytes to vectors of the bytes of all rows, in the order of the rows' numbers. @param x is written to. */
export function transposeRows(b: Body, rows: readonly Local<'v128'>[], x: Local<'v128'>): readonly Local<'v128'>[] {
  // Each round moves the highest bit of the row's number to the lowest place of the byte's.
  for (let round = 0; round < 4; round++) {
    const next: Local<'v128'>[] = [];
    for (let n = 0; n < 8; n++) {
      const [first, second] = [rows[n]!, rows[n + 8]!];
      b.set(x, i8x16.shuffle(first, second, Array.from({ length: 16 }, (_, i) => (i >> 1) + 16 * (i & 1))));
      b.set(second, i8x16.shuffle(first, second, Array.from({ length: 16 }, (_, i) => 8 + (i >> 1) + 16 * (i & 1))));
      b.set(first, x);
      next.push(first, second);
    }
    rows = next;
  }
  return rows;
}

/** decodeTQ1(from, stride, to): the codes of one TQ1_0 block in each of 32 rows, as TQ2_0 has them. */
function emitDecodeTQ1(module: ModuleBuilder): Func {
  return module.func('decodeTQ1', { from: 'i32', stride: 'i32', to: 'i32' }, (b, { from, stride, to }) => {
    const end = b.local('i32', i32.add(to, TILE_BYTES));
    const x = b.local('v128');
    const codes = b.locals('v128', CODE_BYTES / 16);
    const [one, three, nine, twentySeven] = b.locals('v128', 4);
    const times3 = (value: V128): V128 => i8x16.add(value, i8x16.add(value, value));
    /** Columns 16g to 16g + 15, from bytes b: floor(3·b / 256) is weight + 1. The bytes of a TQ2_0 block hold 16g + 32n. */
    const put = (g: number): void => {
      const code = i8x16.sub(ZERO, i8x16.add(i8x16.geU(x, splatByte(86)), i8x16.geU(x, splatByte(171))));
      const into = codes[2 * (g >> 3) + (g & 1)]!;
      const n = (g & 7) >> 1;
      b.set(into, n === 0 ? code : v128.or(into, i16x8.shl(code, 2 * n)));
    };
    b.doWhile(() => {
      // 16 bytes at a time hold columns first, first + step, … of five groups each.
      for (const [byte, first, step] of [[0, 0, 2], [16, 1, 2], [32, 10, 1]] as const) {
        b.set(x, v128.load(from, byte));
        for (let n = 0; n < 5; n++) {
          if (n > 0) b.set(x, times3(x));
          put(first + step * n);
        }
      }
      // The last group has four bytes, with four trits each.
      b.set(x, v128.load32Splat(from, 48));
      [one, three, nine, twentySeven].forEach((power, n) => {
        if (n > 0) b.set(x, times3(x));
        b.set(power, x);
      });
      const firsts = i8x16.shuffle(one, three, [0, 1, 2, 3, 16, 17, 18, 19, 0, 0, 0, 0, 0, 0, 0, 0]);
      const lasts = i8x16.shuffle(nine, twentySeven, [0, 1, 2, 3, 16, 17, 18, 19, 0, 0, 0, 0, 0, 0, 0, 0]);
      b.set(x, i8x16.shuffle(firsts, lasts, [0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23]));
      put(15);
      codes.forEach((vector, i) => b.run(v128.store(to, vector, i * 16)));
      b.increase(from, stride);
      b.increase(to, CODE_BYTES);
    }, () => i32.ltU(to, end));
  });
}

/** checkScales(from, rowBytes, blockBytes, work): a fault unless the blocks of each row have one scale, which is finite and not 0. */
function emitCheckScales(module: ModuleBuilder): Func {
  return module.func('checkScales', { from: 'i32', rowBytes: 'i32', blockBytes: 'i32', work: 'i32' }, (b, p) => {
    const [end, rowEnd, scale, faults] =
      [b.local('i32', i32.add(p.from, i32.mul(p.rowBytes, ROW_BLOCK))), b.local('i32'), b.local('i32'), b.local('i32')] as const;
    b.increase(p.from, i32.sub(p.blockBytes, 2));
    b.increase(end, i32.sub(p.blockBytes, 2));
    b.doWhile(() => {
      b.set(scale, i32.load16U(p.from));
      b.set(rowEnd, i32.add(p.from, p.rowBytes));
      b.set(faults, i32.or(faults, i32.eqz(i32.and(scale, 0x7fff))));
      b.set(faults, i32.or(faults, i32.eq(i32.and(scale, 0x7c00), 0x7c00)));
      b.doWhile(() => {
        b.set(faults, i32.or(faults, i32.ne(i32.load16U(p.from), scale)));
        b.increase(p.from, p.blockBytes);
      }, () => i32.ltU(p.from, rowEnd));
    }, () => i32.ltU(p.from, end));
    addFaults(b, p.work, i32x4.splat(faults));
  });
}

/** checkPadding(from, stride, mask, work): a fault unless the codes of 32 rows that `mask` covers are those of zeros. */
function emitCheckPadding(module: ModuleBuilder): Func {
  return module.func('checkPadding', { from: 'i32', stride: 'i32', mask: 'i32', work: 'i32' }, (b, p) => {
    const [row, faults] = [b.local('i32'), b.local('v128')] as const;
    const zero = b.local('v128', splatByte(ZERO_CODES));
    b.for(row, 0, ROW_BLOCK, 1, () => {
      for (let at = 0; at < CODE_BYTES; at += 16) {
        b.set(faults, v128.or(faults, v128.and(v128.xor(v128.load(p.from, at), zero), v128.load(p.mask, at))));
      }
      b.increase(p.from, p.stride);
    });
    addFaults(b, p.work, faults);
  });
}

/**
 * See Kernels.packBlocks.
 * @param panel row blocks of a panel.
 */
export function packBlocks(
  runner: Runner, panel: number, matrix: TernaryMatrix, first: number, count: number, type: TernaryBlockType, bytes: Uint8Array,
): number {
  const { rows, columns } = matrix;
  const blockBytes = BLOCK_BYTES[type];
  const blocksPerRow = Math.ceil(columns / COLUMN_BLOCK);
  const rowBytes = blocksPerRow * blockBytes;
  const whole = count % ROW_BLOCK === 0 || first + count === rows;
  if (first % ROW_BLOCK !== 0 || !whole || bytes.length !== count * rowBytes) return -1;

  const stage = runner.stage();
  const mask = stage.work + MASK;
  new Uint8Array(stage.memory, mask, CODE_BYTES).set(paddingMask(columns));
  const zeros = stageRows(bytes, count, rowBytes, stage, (rest) => fillZeros(type, rest), ({ source, results }, row, units) => runner.pack('packBlocks', [
    runner.at(matrix.packed), rowBlocks(rows), panel, paddedColumns(columns), (first + row) / ROW_BLOCK,
    source, rowBytes, blockBytes, mask, results,
  ], units));
  // What is padding is zeros, which do not count.
  return zeros < 0 ? zeros : zeros - (rowBlocks(count) * ROW_BLOCK * blocksPerRow * COLUMN_BLOCK - count * columns);
}

/**
 * Takes `count` rows through the work space, as many at a time as there is room for.
 * @param fill fills the rows up to whole row blocks.
 * @param run is given where rows and results are, the first row, and the row blocks.
 * @returns the sum of the results, or -1 where one is.
 */
export function stageRows(
  bytes: Uint8Array, count: number, rowBytes: number, { memory, work }: StageMemory, fill: (stage: Uint8Array) => void,
  run: (at: { readonly source: number; readonly results: number }, row: number, units: number) => void,
): number {
  const stage = new Uint8Array(memory, work + STAGE, STAGE_BYTES);
  const results = new Int32Array(memory, work + RESULTS, MAX_UNITS);
  const most = Math.min(Math.floor(STAGE_BYTES / (ROW_BLOCK * rowBytes)), MAX_UNITS) * ROW_BLOCK;
  let sum = 0;
  for (let row = 0; row < count; row += most) {
    const staged = Math.min(most, count - row);
    const units = rowBlocks(staged);
    stage.set(bytes.subarray(row * rowBytes, (row + staged) * rowBytes));
    fill(stage.subarray(staged * rowBytes, units * ROW_BLOCK * rowBytes));
    run({ source: work + STAGE, results: work + RESULTS }, row, units);
    for (let unit = 0; unit < units; unit++) {
      if (results[unit]! < 0) return -1;
      sum += results[unit]!;
    }
  }
  return sum;
}

/** The codes of a row's last block that lie beyond `columns`. */
function paddingMask(columns: number): Uint8Array {
  const mask = new Uint8Array(CODE_BYTES);
  for (let c = columns % COLUMN_BLOCK || COLUMN_BLOCK; c < COLUMN_BLOCK; c++) {
    mask[32 * (c >> 7) + (c & 31)]! |= 3 << (2 * ((c >> 5) & 3));
  }
  return mask;
}

/** Fills in blocks of zeros; their scale is some number. */
function fillZeros(type: TernaryBlockType, bytes: Uint8Array): void {
  bytes.fill(type === 'TQ2_0' ? ZERO_CODES : ZERO_FIVE);
  if (type === 'TQ1_0') for (let at = 48; at < bytes.length; at += BLOCK_BYTES[type]) bytes.fill(ZERO_FOUR, at, at + 4);
}
