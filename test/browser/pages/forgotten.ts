import { MatMulFreeWorker } from 'matmulfree/worker';
import { file } from './files.js';

async function until(condition: () => boolean): Promise<boolean> {
  for (let n = 0; n < 100 && !condition(); n++) {
    (globalThis as unknown as { gc(): void }).gc();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return condition();
}

/** Loses states, and then the model, without disposing of either. */
export default async function forgotten(): Promise<{ workers: number; text: string; freed: boolean; ended: boolean }> {
  let workers = 0;
  let ended = 0;
  let freed = 0;
  globalThis.Worker = class extends Worker {
    constructor(url: string | URL, options?: WorkerOptions) {
      super(url, options);
      workers++;
    }
    override postMessage(message: unknown, transfer: never): void {
      if ((message as { method?: string }).method === 'freeState') freed++;
      super.postMessage(message, transfer);
    }
    override terminate(): void {
      ended++;
      super.terminate();
    }
  };
  const model = await file('examples/models/tinystories-9m.gguf');
  const load = (): Promise<MatMulFreeWorker> => MatMulFreeWorker.load(model, { threads: 2 });
  // In functions of their own: what a function has held, it may hold until it returns.
  async function loseStates(lm: MatMulFreeWorker): Promise<void> {
    for (let n = 0; n < 3; n++) await (await lm.createState()).clone();
  }
  async function first(): Promise<boolean> {
    const lm = await load();
    await loseStates(lm);
    const done = await until(() => freed >= 5);
    await lm.info();
    return done;
  }
  async function second(): Promise<string> {
    let text = '';
    // Nothing but the pieces refers to this one while they come.
    for await (const piece of (await load()).generate('Once', { maxNewTokens: 20 })) {
      text += piece;
      await until(() => text.length > 0);
    }
    return text;
  }
  const statesFreed = await first();
  const text = await second();
  return { workers, text, freed: statesFreed, ended: await until(() => ended === 2) };
}
