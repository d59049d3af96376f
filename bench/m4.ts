import { createKernels, measureArena, type Arena } from 'matmulfree';
for (const [rows, cols, copies] of [[1024, 1024, 1], [1024,1024,400], [5632,1024,70],[1024,2816,140],[13824,2560,12],[2560,6912,24]] as const) {
  const k = await createKernels({ backend: 'auto', threads: 1 });
  const alloc = (a: Arena) => ({ m: Array.from({ length: copies }, () => k.createTernary(a, rows, cols)), q: a.i8(cols), qs: a.f32(1), out: a.f32(rows) });
  const v = alloc(k.createArena(measureArena(alloc)));
  v.q.forEach((_, i) => { v.q[i] = i % 255 - 127; }); v.qs[0] = 1;
  const times: number[] = []; let c = 0;
  for (let r = 0; r < 30; r++) {
    const n = Math.max(1, Math.round(3e8 / rows / cols));
    const s = performance.now();
    for (let i = 0; i < n; i++) k.ternaryMatmul(v.m[c++ % copies]!, v.q, v.qs, 1, v.out);
    times.push((performance.now() - s) / n);
  }
  times.sort((a, b) => a - b);
  console.log(rows, cols, copies, (times[15]! * 1000).toFixed(1), 'µs', (rows * cols / times[15]! / 1e6).toFixed(1), 'GMAC/s', k.backend);
}
