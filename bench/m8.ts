import { createModule } from '../src/wasm/module.js';
import { emitTernaryTile, tileWorkBytes } from '../src/kernels/wasm/batch.js';
const memory = new WebAssembly.Memory({ initial: 2000 });
const u8 = new Uint8Array(memory.buffer);
const W = 32 << 20;
for (let i = W; i < W + 60e6; i++) u8[i] = Math.floor(Math.random() * 9) * 16 + Math.floor(Math.random() * 9);
for (let i = 0; i < 1 << 20; i++) u8[i + (1 << 20)] = i * 7;
const shapes = process.argv.slice(2).map((s) => s.split('x').map(Number) as [32, number, number]);
const fs = shapes.map(([tokens, quads]) => {
  const m = createModule({ sharedMemory: false });
  emitTernaryTile(m, { tokens, quads } as never);
  return (new WebAssembly.Instance(new WebAssembly.Module(m.encode()), { env: { memory } }).exports as Record<string, (...a: number[]) => void>)[`ternaryTile${tokens}`]!;
});
for (const [rows, cols] of [[1024, 1024], [5632, 1024], [1024, 2816], [2560, 6912]] as const) {
  const blocks = rows / 32; const res: string[] = [];
  const times = shapes.map((): number[] => []);
  const packed = rows * cols / 4; const copies = Math.floor(60e6 / packed); let c = 0;
  for (let r = -3; r < 9; r++) shapes.forEach(([tokens, , panel], i) => {
    const n = Math.max(1, Math.round(2e9 / (rows * cols * 32)));
    const s = performance.now();
    for (let k = 0; k < n; k++) { const tasks = Math.ceil(blocks / panel); fs[i]!(W + (c++ % copies) * packed, blocks, panel, cols, 1 << 20, cols, 65536, 32, rows, 70000, 16 << 20, panel, tasks, 0, tasks * 32 / tokens, 8 << 20); }
    if (r >= 0) times[i]!.push((performance.now() - s) / n);
  });
  shapes.forEach((s, i) => { const t = times[i]!.sort((a, b) => a - b)[4]!; res.push(`${s.join('x')}: ${(rows * cols * 32 / t / 1e6).toFixed(0)}`); });
  console.log(rows, cols, res.join('  '));
}
console.log(tileWorkBytes({ tokens: 16, quads: 4 }, 64));
