import { expect, it } from 'vitest';
import { MatMulFreeLM } from 'matmulfree';
import { floatFolder, torchFolder, ggufFiles } from '../support/group-files.js';
import { randomQwen3, TINY_QWEN3 } from '../support/ternary-models.js';
import { BACKENDS } from '../support/backends.js';
it('all', async () => {
  const model = randomQwen3({ ...TINY_QWEN3, group: 256 }, 5);
  console.log(JSON.stringify(TINY_QWEN3));
  const ids = [1, 5, 3, 7, 2, 9, 4];
  let expected: string | undefined;
  for (const { backend, threads } of BACKENDS) for (const [name, files] of Object.entries({
    f16: floatFolder(model), torch: torchFolder(model), f32: floatFolder(model, 'F32'),
    g64: ggufFiles(model, { format: 'Q2_0' }), g128: ggufFiles(model, { format: 'Q2_0 old' }), p: ggufFiles(model, { format: 'PQ2_0' }),
    tq2: ggufFiles(model, { format: 'TQ2_0' }), tq1: ggufFiles(model, { format: 'TQ1_0' }), gf16: ggufFiles(model, { format: 'F16' }),
  })) {
    const lm = await MatMulFreeLM.load(files, { backend, threads });
    const model2 = (lm as any).model; const rows: number[] = [];
    model2.forwardAll(ids, model2.createState(), (row: Float32Array) => rows.push(...row));
    const hash = lm.info().fingerprint + rows.slice(-20).join();
    expected ??= hash;
    console.log(name, backend, threads, hash === expected, lm.info().fingerprint);
    await lm.dispose();
  }
});
