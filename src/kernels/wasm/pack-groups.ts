import { f32, i16x8, i32, i32x4, i8x16, v128, type I32, type V128 } from '../../wasm/instructions.js';
import type { Body, Func, ModuleBuilder } from '../../wasm/module.js';
import type { GroupBlockType, GroupedMatrix } from '../kernels.js';
import { UNITS } from './jobs.js';
import { paddedColumns, COLUMN_BLOCK, QUAD_BYTES, ROW_BLOCK, rowBlocks, type Places } from './layout.js';
import { stageRows, transposeRows } from './pack.js';
import type { Runner } from './runner.js';
import { bytes as constant, splatByte, ZERO } from './vectors.js';

/*
 * From blocks of a float16 scale and codes of neighbours (formats/group-blocks.ts) to the packing of layout.ts and scales for groups, without
 * a detour through single trits. 16 bytes of codes are 64 weights of two bits, or 128 of one. A byte of four 2-bit codes is a quad, whose
 * nibbles become codes of pairs.
 */

export const PACK_GROUPS_PARAMETERS = {
  packed: 'i32', blocks: 'i32', panelBlocks: 'i32', columns: 'i32', firstBlock: 'i32', source: 'i32', rowBytes: 'i32', blockBytes: 'i32',
  vectors: 'i32', group: 'i32', isBinary: 'i32', scales: 'i32', rows: 'i32', results: 'i32', ...UNITS,
} as const;

/** Bytes and 16-byte vectors of a block. */
const BLOCKS: Readonly<Record<GroupBlockType, { readonly bytes: number; readonly vectors: number; readonly isBinary: boolean }>> = {
  Q1_0: { bytes: 18, vectors: 1, isBinary: true },
  Q2_0: { bytes: 18, vectors: 1, isBinary: false },
  PQ2_0: { bytes: 34, vectors: 2, isBinary: false },
};

/** In the work space of a thread, before the staged rows: a count of zeros and what is wrong. */
const [ZEROS, FAULTS] = [4096, 4112] as const;
/** Four codes of 1: weights of 0. */
const ZERO_CODES = 0x55;

/**
 * packGroups: row blocks first … last - 1 of those at `source`, of which the first is `firstBlock` of the matrix. vectors: of a block; group: columns of a
 * scale of the matrix, one or two vectors. The result of each: how many weights are 0; or -1 for rows that must be decoded.
 */
export function emitPackGroups(module: ModuleBuilder, { quadBytes, half: halfOf }: Places, emitVectors: (module: ModuleBuilder) => Func): Func {
  const packVectors = emitVectors(module);
  const takeScales = emitTakeScales(module);
  return module.func('packGroups', PACK_GROUPS_PARAMETERS, (b, p) => {
    const [unit, n, panel, count, out] = b.locals('i32', 5);
    const [at, vector, codes, rows, width, columns] = b.locals('i32', 6);
    const total = b.local('v128');
    const vectorColumns = b.local('i32', i32.select(128, 64, p.isBinary));
    const place = vectorAt(p.blockBytes, p.vectors);
    b.for(unit, p.first, p.last, 1, () => {
      b.run(v128.store(p.work, ZERO, ZEROS));
      b.run(v128.store(p.work, ZERO, FAULTS));
      b.set(rows, i32.add(p.source, i32.mul(unit, i32.mul(p.rowBytes, ROW_BLOCK))));
      b.set(n, i32.add(p.firstBlock, unit));
      const firstRow = i32.mul(n, ROW_BLOCK);
      b.run(takeScales.call(
        rows, p.rowBytes, p.vectors, i32.divU(p.group, vectorColumns), i32.divU(p.columns, p.group), p.isBinary,
        i32.add(p.scales, i32.shl(firstRow, 2)), i32.shl(p.rows, 2), i32.minU(ROW_BLOCK, i32.sub(p.rows, firstRow)), p.work,
      ));
      b.set(panel, i32.mul(i32.divU(n, p.panelBlocks), p.panelBlocks));
      b.set(count, i32.minU(p.panelBlocks, i32.sub(p.blocks, panel)));
      b.set(n, i32.sub(n, panel));
      b.set(out, i32.add(p.packed, i32.mul(i32.mul(panel, ROW_BLOCK), i32.shrU(p.columns, 2))));
      b.set(vector, i32.const(0));
      b.set(columns, i32.const(0));
      b.doWhile(() => {
        // A column block, of which this row block has width / 4 quads.
        b.set(width, i32.minU(COLUMN_BLOCK, i32.sub(p.columns, columns)));
        b.set(at, i32.add(out, i32.mul(n, i32.mul(width, quadBytes / 4))));
        b.increase(columns, width);
        b.increase(out, i32.mul(count, i32.mul(width, quadBytes / 4)));
        b.doWhile(() => {
          b.set(codes, i32.add(rows, place(vector)));
          b.run(packVectors.call(codes, p.rowBytes, at, p.isBinary));
          b.run(packVectors.call(i32.add(codes, i32.shl(p.rowBytes, 4)), p.rowBytes, i32.add(at, halfOf(p.columns)), p.isBinary));
          b.increase(at, i32.mul(vectorColumns, quadBytes / 4));
          b.increase(vector, 1);
        }, () => i32.ltU(i32.mul(vector, vectorColumns), columns));
      }, () => i32.ltU(columns, p.columns));
      b.set(total, v128.load(p.work, ZEROS));
      const zeros = i32x4.extractLane(total, 0);
      b.run(i32.store(i32.add(p.results, i32.shl(unit, 2)), i32.select(-1, zeros, v128.anyTrue(v128.load(p.work, FAULTS)))));
    });
  });
}

/** Where vector `n` of a row's codes begins. */
function vectorAt(blockBytes: I32, vectors: I32): (n: I32) => I32 {
  return (n) => {
    const block = i32.divU(n, vectors);
    return i32.add(i32.add(i32.mul(block, blockBytes), i32.shl(i32.sub(n, i32.mul(block, vectors)), 4)), 2);
  };
}

/**
 * takeScales: of 32 rows, the scales of all groups of `vectors` vectors, to `scales` and `scaleBytes` on for each group; 0 for a group of zeros. Counts
 * zeros. A fault is a scale that is not finite, negative, or 0 beside other weights; different ones in a group; a code that no weight has.
 */
function emitTakeScales(module: ModuleBuilder): Func {
  return module.func('takeScales', {
    source: 'i32', rowBytes: 'i32', blockVectors: 'i32', vectors: 'i32', groups: 'i32', isBinary: 'i32', scales: 'i32', scaleBytes: 'i32',
    rows: 'i32', work: 'i32',
  }, (b, p) => {
    const [row, group, vector, left, at, out, scale, first, faults] = b.locals('i32', 9);
    const [codes, low, others, ones] = b.locals('v128', 4);
    const [zeros, threes] = [b.local('v128', ZERO), b.local('v128', ZERO)] as const;
    const zero = b.local('v128', splatByte(ZERO_CODES));
    b.for(row, 0, p.rows, 1, () => {
      b.set(at, p.source);
      b.set(out, p.scales);
      b.set(left, i32.const(0)); // vectors of the block
      b.for(group, 0, p.groups, 1, () => {
        b.set(others, ZERO);
        b.set(ones, ZERO);
        b.set(first, i32.const(-1));
        b.set(vector, p.vectors);
        b.doWhile(() => {
          b.if(i32.eqz(left), () => {
            b.set(scale, i32.load16U(at));
            b.increase(at, 2);
            b.set(left, p.blockVectors);
          });
          b.set(first, i32.select(scale, first, i32.eq(first, -1)));
          b.set(faults, i32.or(faults, i32.ne(first, scale)));
          b.set(codes, v128.load(at));
          b.set(others, v128.or(others, v128.xor(codes, zero)));
          b.set(low, v128.and(codes, zero));
          b.set(ones, i8x16.add(ones, i8x16.popcnt(low))); // a code of 1, as 3 is a fault
          b.set(threes, v128.or(threes, v128.and(low, i16x8.shrU(codes, 1))));
          b.increase(at, 16);
          b.increase(left, -1);
          b.increase(vector, -1);
        }, () => vector);
        b.set(zeros, i16x8.add(zeros, i16x8.extaddPairwiseI8x16U(ones)));
        const hasWeights = i32.or(p.isBinary, v128.anyTrue(others));
        b.set(faults, i32.or(faults, i32.eq(i32.and(first, 0x7c00), 0x7c00))); // not finite
        b.set(faults, i32.or(faults, i32.and(i32.or(i32.eqz(first), i32.shrU(first, 15)), hasWeights)));
        // float16's exponents are 112 below float32's.
        b.run(i32.store(out, i32.shl(i32.select(first, 0, hasWeights), 13)));
        b.run(f32.store(out, f32.mul(f32.load(out), f32.const(2 ** 112))));
        b.increase(out, p.scaleBytes);
      });
      b.set(zeros, addToTotal(b, p.work, zeros));
      b.increase(p.source, p.rowBytes);
      b.increase(p.scales, 4);
    });
    // What has no zeros has all codes.
    b.if(p.isBinary, () => {
      b.set(threes, ZERO);
      b.run(i32.store(p.work, i32.const(0), ZEROS));
    });
    b.run(v128.store(p.work, v128.or(threes, i32x4.splat(faults)), FAULTS));
  });
}

/** Adds 16-bit counts to the total in the first lane at ZEROS; zeros. */
function addToTotal(b: Body, work: I32, counts: V128): V128 {
  const wide = b.local('v128', i32x4.extaddPairwiseI16x8U(counts));
  const lanes = [0, 1, 2, 3].map((lane) => i32x4.extractLane(wide, lane));
  b.run(i32.store(work, lanes.reduce((sum, lane) => i32.add(sum, lane), i32.load(work, ZEROS)), ZEROS));
  return ZERO;
}

export const GROUP_VECTORS_PARAMETERS = { from: 'i32', stride: 'i32', out: 'i32', isBinary: 'i32' } as const;

/** packGroupVectors(from, stride, out, isBinary): 16 bytes of codes of 16 rows to 16 or 32 vectors of the packing, of as many quads. */
export function emitPackGroupVectors(module: ModuleBuilder): Func {
  return module.func('packGroupVectors', GROUP_VECTORS_PARAMETERS, (b, { from, stride, out, isBinary }) => {
    const [x, at] = [b.local('v128'), b.local('i32')] as const;
    const rows = b.locals('v128', 16);
    const nibble = b.local('v128', splatByte(15));
    const firstOfPair = b.local('v128', splatByte(0x33));
    const firsts = b.local('v128');
    // 3·(w0 + 1) + (w1 + 1) of two bits that are -1 and 1, twice.
    const signs = b.local('v128', constant((n) => 6 * (n & 1) + (n & 2) + 16 * (3 * ((n >> 1) & 2) + ((n >> 2) & 2))));
    const pack = (quadOf: (n: number) => number, code: () => V128): void => {
      b.set(at, from);
      for (let row = 0; row < 16; row++) {
        b.set(x, v128.load(at));
        b.increase(at, stride);
        b.set(rows[2 * (row & 7) + (row >> 3)]!, code());
      }
      transposeRows(b, rows, x).forEach((vector, n) => b.run(v128.store(out, vector, quadOf(n) * QUAD_BYTES)));
    };
    const lowNibbles = (): V128 => v128.and(x, nibble);
    const highNibbles = (): V128 => v128.and(i16x8.shrU(x, 4), nibble);
    b.if(isBinary, () => {
      pack((n) => 2 * n, () => i8x16.swizzle(signs, lowNibbles()));
      pack((n) => 2 * n + 1, () => i8x16.swizzle(signs, highNibbles()));
    }, () => pack((n) => n, () => {
      b.set(firsts, v128.and(x, firstOfPair));
      return i8x16.add(i8x16.add(firsts, i8x16.add(firsts, firsts)), v128.and(i16x8.shrU(x, 2), firstOfPair));
    }));
  });
}

/**
 * See TransformerKernels.packGroups.
 * @param panel row blocks of a panel.
 */
export function packGroups(
  runner: Runner, panel: number, matrix: GroupedMatrix, first: number, count: number, type: GroupBlockType, bytes: Uint8Array,
): number {
  const { rows, columns, group } = matrix;
  const block = BLOCKS[type];
  const blockColumns = block.vectors * (block.isBinary ? 128 : 64);
  const rowBytes = (columns / blockColumns) * block.bytes;
  const isWhole = columns % blockColumns === 0 && columns % group === 0 && group % (block.isBinary ? 128 : 64) === 0;
  if (!isWhole || first % ROW_BLOCK !== 0 || (count % ROW_BLOCK !== 0 && first + count !== rows) || bytes.length !== count * rowBytes) return -1;
  return stageRows(bytes, count, rowBytes, runner.stage(), (rest) => rest.fill(ZERO_CODES), ({ source, results }, row, units) => runner.pack('packGroups', [
    runner.at(matrix.packed), rowBlocks(rows), panel, paddedColumns(columns), (first + row) / ROW_BLOCK, source, rowBytes, block.bytes,
    block.vectors, group, Number(block.isBinary), runner.at(matrix.scales), rows, results,
  ], units));
}
