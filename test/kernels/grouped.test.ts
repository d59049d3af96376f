import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ArgumentError, createKernels, type Arena, type Kernels, type TransformerKernels } from 'matmulfree';
import { BACKENDS, floatsIn } from '../support/backends.js';
import { expectSameBits } from '../support/compare.js';
import { freshSeed, randomFrom } from '../support/random.js';

const { fround } = Math;
const ARENA_BYTES = 32 * 2 ** 20;

interface Problem {
  readonly rows: number;
  readonly columns: number;
  readonly group: number;
  readonly tokens: number;
}

const PROBLEMS: readonly Problem[] = [
  { rows: 3, columns: 32, group: 32, tokens: 1 },
  { rows: 40, columns: 128, group: 128, tokens: 1 },
  { rows: 33, columns: 320, group: 128, tokens: 2 },
  { rows: 100, columns: 320, group: 64, tokens: 3 },
  { rows: 65, columns: 517, group: 32, tokens: 7 },
  { rows: 31, columns: 256, group: 64, tokens: 8 },
  { rows: 130, columns: 1000, group: 128, tokens: 21 },
  { rows: 2100, columns: 192, group: 64, tokens: 33 },
  { rows: 64, columns: 6144, group: 128, tokens: 1 },
];

const SEED = freshSeed();

describe.each(BACKENDS)(`ternary products with a scale for each group of columns, $name (seed ${SEED})`, ({ backend, threads }) => {
  let kernels: Kernels;
  let transformer: TransformerKernels;
  let arena: Arena;
  beforeAll(async () => {
    kernels = await createKernels({ backend, threads, transformer: true });
    arena = kernels.createArena(ARENA_BYTES);
    transformer = kernels.transformer!;
  });
  afterAll(() => kernels.dispose());

  it.each(PROBLEMS)('$rows x $columns, groups of $group, $tokens tokens: as defined, to the bit; rows come back', ({ rows, columns, group, tokens }) => {
    const random = randomFrom(SEED + rows);
    const groups = Math.ceil(columns / group);
    const activationGroups = Math.ceil(columns / 128);
    const matrix = transformer.createGrouped(arena, rows, columns, group);
    const trits = Array.from({ length: rows }, (_, r) => Int8Array.from({ length: columns }, () => (r % 7 === 0 ? 1 : random.integer(-1, 1))));
    trits.forEach((row, r) => transformer.packGroupedRow(matrix, r, row));
    for (let n = 0; n < groups * rows; n++) matrix.scales[n] = random.normal();
    const [q, out] = [arena.i8(tokens * columns), arena.f32(tokens * rows)];
    for (let n = 0; n < q.length; n++) q[n] = n % 3 === 0 ? 127 : random.integer(-127, 127);
    const qScales = floatsIn(arena, Array.from({ length: tokens * activationGroups }, () => random.unit()));
    transformer.groupedMatmul(matrix, q, qScales, tokens, out);

    const expected = new Float32Array(tokens * rows);
    for (let t = 0; t < tokens; t++) {
      for (let r = 0; r < rows; r++) {
        let total = 0;
        for (let g = 0; g < groups; g++) {
          let sum = 0;
          for (let c = g * group; c < Math.min(columns, (g + 1) * group); c++) sum += trits[r]![c]! * q[t * columns + c]!;
          const scale = fround(matrix.scales[g * rows + r]! * qScales[t * activationGroups + Math.floor((g * group) / 128)]!);
          total = fround(total + fround(sum * scale));
        }
        expected[t * rows + r] = total;
      }
    }
    expectSameBits(out, expected);

    const unpacked = new Int8Array(columns);
    trits.forEach((row, r) => {
      transformer.unpackRow(matrix, r, unpacked.fill(2));
      expect(unpacked).toEqual(row);
    });
  });

  it('quantises 128 columns at a time, halves to even', () => {
    const width = 200;
    const x = floatsIn(arena, Array.from({ length: 2 * width }, (_, n) => (n % 128 === 0 ? -2 : Math.sin(n))));
    const [q, qScales] = [arena.i8(2 * width), arena.f32(4)];
    transformer.quantizeGroups(x, width, 2, q, qScales);
    for (let t = 0; t < 2; t++) {
      for (const [g, from, to] of [[0, 0, 128], [1, 128, 200]] as const) {
        const some = Array.from(x.subarray(t * width + from, t * width + to));
        const most = Math.max(...some.map(Math.abs));
        expect(qScales[2 * t + g]).toBe(fround(most / 127));
        some.forEach((value, j) => expect(Math.abs(q[t * width + from + j]! - (value / most) * 127)).toBeLessThanOrEqual(0.50001));
      }
    }
    // Half of the largest is 63.5, and goes to 64, whatever the largest is.
    const halves = floatsIn(arena, Array.from({ length: 128 }, (_, n) => (n === 5 ? 0.30000001192092896 : 0.15000000596046448)));
    transformer.quantizeGroups(halves, 128, 1, q, qScales);
    expect(q[0]).toBe(64);
    transformer.quantizeGroups(floatsIn(arena, new Array<number>(128).fill(0)), 128, 1, q, qScales);
    expect([...q.subarray(0, 128)].every((value) => value === 0)).toBe(true);
    expect(qScales[0]).toBe(fround(fround(1e-5) / 127));
  });

  it('refuses groups that there are no kernels for', () => {
    for (const group of [0, 16, 48, 96, 256]) expect(() => transformer.createGrouped(arena, 4, 256, group)).toThrow(ArgumentError);
    expect(() => transformer.createGrouped(arena, 4, 65537, 128)).toThrow('at most 65536');
  });
});
