import { MatMulFreeLM, type ModelSource } from 'matmulfree';
import { MatMulFreeWorker } from 'matmulfree/worker';

/** What each address gives, the first of them in a worker of the library too: the width of the model, or an error. */
export default async function addresses({ paths, fetched }: { paths: readonly string[]; fetched: string }): Promise<Record<string, number | string>> {
  const bytes = new Uint8Array(await (await fetch(fetched)).arrayBuffer());
  const shared = typeof SharedArrayBuffer === 'undefined' ? bytes : new Uint8Array(new SharedArrayBuffer(bytes.length));
  shared.set(bytes);
  const found: Record<string, number | string> = {};
  const look = async (what: string, load: (source: ModelSource, options: object) => Promise<MatMulFreeLM | MatMulFreeWorker>, source: ModelSource): Promise<void> => {
    const lm = await load(source, { backend: 'scalar', cache: false }).catch((error: Error) => error);
    found[what] = lm instanceof Error ? `${lm.name}: ${lm.message}` : lm.config.hiddenSize;
    if (!(lm instanceof Error)) lm.dispose();
  };
  for (const path of paths) await look(path, MatMulFreeLM.load, path);
  await look('a Response', MatMulFreeLM.load, await fetch(fetched));
  await look('shared memory', MatMulFreeLM.load, shared);
  await look(`${paths[0]!}, in a worker`, MatMulFreeWorker.load, paths[0]!);
  await look('a Response, in a worker', MatMulFreeWorker.load, await fetch(fetched));
  return found;
}
