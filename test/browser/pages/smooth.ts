import { MatMulFreeWorker } from 'matmulfree/worker';
import { address } from './files.js';

/** Loads and writes in a worker while the page draws: the frames that it drew, and the pieces that came. */
export default async function smooth(): Promise<{ frames: number; pieces: number }> {
  let frames = 0;
  const draw = (): void => {
    frames++;
    requestAnimationFrame(draw);
  };
  draw();
  const lm = await MatMulFreeWorker.load(address('examples/models/tinystories-9m.gguf'), { threads: 1 });
  let pieces = 0;
  for await (const piece of lm.generate('Once upon a time', { temperature: 0.8, seed: 1, maxNewTokens: 400 })) {
    pieces++;
    document.title = piece;
  }
  lm.dispose();
  return { frames, pieces };
}
