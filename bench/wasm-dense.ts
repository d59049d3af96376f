/*
 * The float32 MatMul baseline in WebAssembly SIMD: out = W · x, W [rows, columns] row-major. Several writings, as in dense.ts:
 * `rows` rows at a time share each load of x, and every row has `sums` vectors of partial sums.
 */
import { f32, f32x4, i32, v128, type F32, type V128 } from '../src/wasm/instructions.js';
import { createModule, type Local, type ModuleBuilder } from '../src/wasm/module.js';

interface Writing {
  readonly rows: number;
  readonly sums: number;
}

const WRITINGS: readonly Writing[] = [{ rows: 1, sums: 4 }, { rows: 2, sums: 4 }, { rows: 4, sums: 2 }];
const PAGE = 65536;
/** Rows must be a multiple of this, and columns of 4 times that. */
const MULTIPLE = 4;

const nameOf = ({ rows, sums }: Writing): string => `rows${rows}sums${sums}`;

function emitDense(module: ModuleBuilder, writing: Writing): void {
  const step = writing.sums * 16;
  module.func(nameOf(writing), { w: 'i32', x: 'i32', out: 'i32', rows: 'i32', columns: 'i32' }, (b, p) => {
    const [at, outEnd, rowBytes, xEnd] = [
      b.local('i32'), b.local('i32', i32.add(p.out, i32.shl(p.rows, 2))), b.local('i32', i32.shl(p.columns, 2)),
      b.local('i32', i32.add(p.x, i32.shl(p.columns, 2))),
    ] as const;
    const x = b.locals('v128', writing.sums);
    const rows = Array.from({ length: writing.rows }, () => ({
      w: b.local('i32'), sums: b.locals('v128', writing.sums),
    }));
    b.while(i32.ltU(p.out, outEnd), () => {
      for (const { w, sums } of rows) {
        b.set(w, p.w);
        b.increase(p.w, rowBytes);
        for (const sum of sums) b.set(sum, f32x4.splat(f32.const(0)));
      }
      b.for(at, p.x, xEnd, step, () => {
        x.forEach((values, n) => b.set(values, v128.load(at, n * 16)));
        for (const { w, sums } of rows) {
          sums.forEach((sum, n) => b.set(sum, f32x4.add(sum, f32x4.mul(x[n], v128.load(w, n * 16)))));
          b.increase(w, step);
        }
      });
      rows.forEach(({ sums }, r) => {
        b.set(sums[0], sums.slice(1).reduce<V128>((total, sum) => f32x4.add(total, sum), sums[0]));
        b.run(f32.store(p.out, addLanes(sums[0]), 4 * r));
      });
      b.increase(p.out, 4 * writing.rows);
    });
  });
}

function addLanes(v: Local<'v128'>): F32 {
  const lane = (n: number): F32 => f32x4.extractLane(v, n);
  return f32.add(f32.add(lane(0), lane(1)), f32.add(lane(2), lane(3)));
}

export type WasmDenseKernel = (w: Float32Array, x: Float32Array, out: Float32Array) => void;

export interface WasmDense {
  /** An array in the kernels' memory. */
  f32(length: number): Float32Array;
  /** out = W · x; all three from `f32`. */
  readonly kernels: readonly (readonly [string, WasmDenseKernel])[];
}

/** The kernels, on a memory of their own that holds `floats` numbers. */
export function createWasmDense(floats: number): WasmDense {
  const module = createModule({ sharedMemory: false });
  for (const writing of WRITINGS) emitDense(module, writing);
  const memory = new WebAssembly.Memory({ initial: Math.ceil((floats * 4) / PAGE) });
  const instance = new WebAssembly.Instance(new WebAssembly.Module(module.encode()), { env: { memory } });
  const exports = instance.exports as Record<string, (...args: number[]) => void>;
  let used = 0;
  return {
    f32(length) {
      const array = new Float32Array(memory.buffer, used, length);
      used += 4 * length;
      return array;
    },
    kernels: WRITINGS.map((writing) => {
      const run = exports[nameOf(writing)];
      const kernel: WasmDenseKernel = (w, x, out) => {
        if (out.length % MULTIPLE !== 0 || x.length % (4 * MULTIPLE) !== 0) throw new RangeError('unsuitable shape');
        run(w.byteOffset, x.byteOffset, out.byteOffset, out.length, x.length);
      };
      return [`WASM f32, ${writing.rows} ${writing.rows === 1 ? 'row' : 'rows'}, ${writing.sums} sums`, kernel];
    }),
  };
}
