import { createKernels } from 'matmulfree';
import { randomModel, type ShapeName } from './random-model.js';
const [, , shape = '370M', backend = 'auto', threads = '1'] = process.argv;
const kernels = await createKernels({ backend: backend as 'auto', threads: Number(threads) });
let t = performance.now();
const model = await randomModel(kernels, shape as ShapeName);
console.log(process.version, kernels.backend, kernels.threads, 'made in', (performance.now() - t).toFixed(0), 'ms', (model.parts.memoryBytes / 1e6).toFixed(0), 'MB', 'rss', (process.memoryUsage().rss / 1e6).toFixed(0));
const out = new Float32Array(model.parts.config.vocabSize);
const state = model.createState();
for (let r = 0; r < 4; r++) {
  t = performance.now();
  const n = 40;
  for (let i = 0; i < n; i++) model.forwardLast([i + 5], state, out);
  const decode = n / (performance.now() - t) * 1000;
  const rates: string[] = [];
  for (const len of [8, 32, 512]) {
    const ids = Array.from({ length: len }, (_, i) => i + 3);
    model.forwardLast(ids, state, out);
    t = performance.now();
    const reps = len < 100 ? 3 : 1;
    for (let k = 0; k < reps; k++) model.forwardLast(ids, state, out);
    rates.push(`${len}: ${(len * reps / (performance.now() - t) * 1000).toFixed(0)}`);
  }
  console.log('decode', decode.toFixed(1), 'prefill', rates.join('  '));
}
kernels.dispose();
