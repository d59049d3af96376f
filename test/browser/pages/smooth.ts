import { MatMulFreeWorker } from 'matmulfree/worker';
import { address } from './files.js';

/** Loads and writes in a worker while the page draws: tasks of the page that took longer than 50 ms, and frames that it drew. */
export default async function smooth(): Promise<{ long: number[]; frames: number; pieces: number; firstMs: number }> {
  const long: number[] = [];
  const observer = new PerformanceObserver((list) => long.push(...list.getEntries().map(({ duration }) => duration)));
  observer.observe({ type: 'longtask' });
  let frames = 0;
  const draw = (): void => {
    frames++;
    requestAnimationFrame(draw);
  };
  draw();
  const begin = performance.now();
  const lm = await MatMulFreeWorker.load(address('examples/models/tinystories-9m.gguf'), { threads: 1 });
  let pieces = 0;
  let firstMs = 0;
  for await (const piece of lm.generate('Once upon a time', { temperature: 0.8, seed: 1, maxNewTokens: 1500 })) {
    if (pieces++ === 0) firstMs = performance.now() - begin;
    document.title = piece;
  }
  lm.dispose();
  long.push(...observer.takeRecords().map(({ duration }) => duration));
  return { long, frames, pieces, firstMs };
}
