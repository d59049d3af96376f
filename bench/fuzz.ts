import { createKernels } from '../src/kernels/create.js';
import { measureArena, type Arena } from '../src/kernels/arena.js';
import type { Kernels } from '../src/kernels/kernels.js';
const rnd = (a: number, b: number): number => a + Math.floor(Math.random() * (b - a + 1));
const normal = (): number => { let s = 0; for (let i = 0; i < 6; i++) s += Math.random(); return (s - 3) * 2; };
let bad = 0;
async function one(backend: 'simd' | 'relaxed', threads: number, rows: number, cols: number, tokens: number, mode: number): Promise<void> {
  const trits = Int8Array.from({ length: rows * cols }, () => mode === 1 ? 1 : mode === 2 ? -1 : rnd(-1, 1));
  const qv = Int8Array.from({ length: tokens * cols }, () => mode ? (Math.random() < 0.5 && mode === 3 ? -127 : 127) : rnd(-127, 127));
  const sc = Float32Array.from({ length: rows }, () => Math.random());
  const qs = Float32Array.from({ length: tokens }, () => Math.random());
  const xs = Float32Array.from({ length: tokens * cols }, normal), ys = Float32Array.from({ length: 2 * tokens * cols }, normal), ws = Float32Array.from({ length: cols }, normal), st = Float32Array.from({ length: cols }, normal), lbs = Float32Array.from({ length: cols }, Math.random);
  const results: Record<string, ArrayLike<number>>[] = [];
  for (const b of ['scalar', backend] as const) {
    const k: Kernels = await createKernels({ backend: b, threads: b === 'scalar' ? 1 : threads });
    const alloc = (a: Arena) => ({ m: k.createTernary(a, rows, cols), q: a.i8(tokens * cols), qs: a.f32(tokens), out: a.f32(tokens * rows), x: a.f32(tokens * cols), y: a.f32(2 * tokens * cols), w: a.f32(cols), st: a.f32(cols), lb: a.f32(cols), o: a.f32(tokens * cols), q2: a.i8(tokens * cols), qs2: a.f32(tokens) });
    const v = alloc(k.createArena(measureArena(alloc)));
    for (let r = 0; r < rows; r++) k.packRow(v.m, r, trits.subarray(r * cols, (r + 1) * cols));
    v.m.scales.set(sc); v.q.set(qv); v.qs.set(qs); v.x.set(xs); v.y.set(ys); v.w.set(ws); v.st.set(st); v.lb.set(lbs);
    const res: Record<string, ArrayLike<number>> = {};
    k.ternaryMatmul(v.m, v.q, v.qs, tokens, v.out); res.out = v.out.slice();
    k.rmsNorm(v.x, v.w, 1e-6, tokens, v.o); res.norm = v.o.slice();
    k.rmsNormQuantize(v.x, v.w, 1e-6, tokens, v.q2, v.qs2); res.q = v.q2.slice(); res.qs = v.qs2.slice();
    k.gatedRmsNorm(v.x, v.w, 1e-6, v.y, tokens, v.o); res.gated = v.o.slice();
    k.swiglu(v.y, cols, tokens, v.o); res.swiglu = v.o.slice();
    k.mlgruRecurrence(v.x, v.y, v.lb, v.st, tokens, v.o); res.gru = v.o.slice(); res.st = v.st.slice();
    k.mlgruRecurrence(v.x, v.y, undefined, v.st, tokens, v.o); res.gru2 = v.o.slice();
    k.add(v.x, v.o, tokens * cols); res.add = v.x.slice();
    results.push(res); k.dispose();
  }
  for (const key of Object.keys(results[0]!)) {
    const a = results[0]![key]!, c = results[1]![key]!;
    for (let i = 0; i < a.length; i++) if (!Object.is(a[i], c[i])) { if (bad++ < 20) console.log('DIFF', backend, threads, rows, cols, tokens, 'mode', mode, key, i, a[i], c[i]); break; }
  }
}
const t0 = Date.now(); let n = 0;
const backends = process.argv[2] ? [process.argv[2] as 'simd'] : ['simd'] as const;
while (Date.now() - t0 < Number(process.argv[3] ?? 20) * 1000) {
  for (const b of backends) await one(b, rnd(1, Number(process.argv[4] ?? 1)), rnd(1, n % 10 ? 80 : 600), rnd(1, n % 7 ? 700 : 7000), rnd(1, n % 5 ? 9 : 80), rnd(0, 3)); n++;
}
console.log(n, 'runs', bad, 'bad', process.version);
