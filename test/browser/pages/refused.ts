import { MatMulFreeLM } from 'matmulfree';
import { MatMulFreeWorker } from 'matmulfree/worker';
import { file } from './files.js';

/** Asks for more memory than this browser gives: by name, then for what there is. @returns two errors, and the backend and why it is that one. */
export default async function refused({ of }: { of: 'page' | 'worker' }): Promise<{ errors: string[]; backend: string; note: string | undefined }> {
  const { load } = of === 'page' ? MatMulFreeLM : MatMulFreeWorker;
  const model = await file('examples/models/tinystories-9m.gguf');
  const errors: string[] = [];
  for (const threads of [1, 3]) {
    errors.push(await load(model, { backend: 'simd', threads }).then(() => 'it was loaded', (reason: unknown) => String(reason)));
  }
  const lm = await load(model);
  const { backendNote } = await lm.info();
  lm.dispose();
  return { errors, backend: lm.backend, note: backendNote };
}
