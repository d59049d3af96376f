import { MatMulFreeWorker } from 'matmulfree/worker';

/** Loads from `url`, with the cache that earlier pages have filled. */
export default async function cached({ url }: { url: string }): Promise<{ stages: string[]; text: string; ms: number }> {
  const stages = new Set<string>();
  const begin = performance.now();
  const lm = await MatMulFreeWorker.load(url, { onProgress: ({ stage }) => stages.add(stage) });
  const first = await lm.generate('Once upon a time', { maxNewTokens: 5 }).next();
  const ms = performance.now() - begin;
  lm.dispose();
  return { stages: [...stages], text: String(first.value), ms };
}
