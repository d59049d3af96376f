import { MatMulFreeLM } from 'matmulfree';
import { MatMulFreeWorker } from 'matmulfree/worker';
import { file } from './files.js';

/** Asks for more memory than this browser gives. */
export default async function refused({ of }: { of: 'page' | 'worker' }): Promise<{ name: string; message: string }[]> {
  const { load } = of === 'page' ? MatMulFreeLM : MatMulFreeWorker;
  const model = await file('examples/models/tinystories-9m.gguf');
  const errors: { name: string; message: string }[] = [];
  for (const threads of [1, 3]) {
    const error = await load(model, { threads }).then(() => new Error('it was loaded'), (reason: unknown) => reason as Error);
    errors.push({ name: error.name, message: error.message });
  }
  return errors;
}
