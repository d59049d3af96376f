import { MatMulFreeLM } from 'matmulfree';
import { MatMulFreeWorker } from 'matmulfree/worker';
import { address, file } from './files.js';

type Model = MatMulFreeLM | MatMulFreeWorker;

const MODEL = 'examples/models/tinystories-9m.gguf';

/** What `action` rejected with: 'reason' if it was this signal's. */
async function rejection(action: Promise<unknown>, signal: AbortSignal): Promise<string> {
  try {
    await action;
    return 'nothing';
  } catch (error) {
    return error === signal.reason ? 'reason' : String(error);
  }
}

/** Aborts a load from a URL, a load from a File, a generation and a scoring, and then uses the model. */
export default async function aborts({ of }: { of: 'page' | 'worker' }): Promise<Record<string, string | number>> {
  const { load } = of === 'page' ? MatMulFreeLM : MatMulFreeWorker;
  const found: Record<string, string | number> = {};
  for (const [name, source] of [['url', address(MODEL)], ['file', await file(MODEL)]] as const) {
    const controller = new AbortController();
    const options = { signal: controller.signal, onProgress: () => controller.abort(new Error('enough')), cache: false } as const;
    found[name] = await rejection(load(source, options), controller.signal);
  }
  const lm: Model = await load(address(MODEL));
  {
    const controller = new AbortController();
    setTimeout(() => controller.abort(new Error('enough')), 100);
    const write = async (): Promise<void> => {
      for (;;) for await (const _ of lm.generate('A', { maxNewTokens: 1e6, signal: controller.signal })) { /* story after story */ }
    };
    found['generate'] = await rejection(write(), controller.signal);
  }
  {
    const controller = new AbortController();
    setTimeout(() => controller.abort(new Error('enough')), 30);
    const ids = Array.from({ length: 50_000 }, (_, n) => n % 4000);
    const scoring = lm instanceof MatMulFreeLM ? lm.scoreAsync(ids, { signal: controller.signal }) : lm.score(ids, { signal: controller.signal });
    found['score'] = await rejection(scoring, controller.signal);
  }
  let after = '';
  for await (const piece of lm.generate('Once', { maxNewTokens: 5 })) after += piece;
  found['after'] = after.length;
  lm.dispose();
  return found;
}
