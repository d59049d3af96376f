import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
/** Collects garbage. */
export const collectGarbage = runInNewContext('gc') as () => void;

/**
 * Collects garbage until `isDone`, for ten seconds at most: on a busy machine compilers that work in the background hold on to what they
 * look at, and the engine tells late of what it has collected.
 */
export async function collectUntil(isDone: () => boolean): Promise<void> {
  const end = performance.now() + 10_000;
  for (let round = 0; round === 0 || (!isDone() && performance.now() < end); round++) {
    collectGarbage();
    await new Promise((resolve) => (round < 10 ? setImmediate(resolve) : setTimeout(resolve, 20)));
  }
}
