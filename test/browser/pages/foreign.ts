import type { MatMulFreeWorker } from 'matmulfree/worker';
import { collect, file } from './files.js';

/** Uses the library from another origin, as from a CDN. */
export default async function foreign({ library }: { library: string }): Promise<{ isolated: boolean; threads: number; text: string }> {
  const worker = (await import(library)) as { MatMulFreeWorker: typeof MatMulFreeWorker };
  const lm = await worker.MatMulFreeWorker.load(await file('examples/models/tinystories-9m.gguf'), { threads: 2 });
  const { text } = await collect(lm.generate('The dragon', { maxNewTokens: 20 }));
  const { threads } = lm;
  lm.dispose();
  return { isolated: globalThis.crossOriginIsolated, threads, text };
}
