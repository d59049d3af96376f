import { ArgumentError, show } from '../../errors.js';
import { environment, nodeModules, type NodeModules } from '../../platform/node.js';
import { blobStore, type Store } from './store.js';

/** The name of the browser's cache, unless another is given. */
const BROWSER_CACHE = 'matmulfree';

/** Where downloads are kept (`RemoteOptions.cache`). @throws ArgumentError. */
export async function openStore(cache: string | false | undefined): Promise<Store> {
  if (cache === false) return blobStore();
  const node = nodeModules();
  const place = cachePlace(node, cache);
  if (node) return (await import('./disk-store.js')).diskStore(node, place);
  // Pages without TLS, and some private windows, have none.
  return blobStore(await globalThis.caches?.open(place).catch(() => undefined));
}

/** The folder in Node, the cache's name in a browser. */
export function cachePlace(node: NodeModules | undefined, cache: string | undefined): string {
  if (cache !== undefined && (typeof cache !== 'string' || cache === '')) {
    throw new ArgumentError(`the option cache is ${show(cache)}, not ${node ? 'the path of a folder' : 'a name'} or false`);
  }
  if (!node) return cache ?? BROWSER_CACHE;
  const { path, os } = node;
  const given = cache ?? environment('MATMULFREE_CACHE');
  if (given !== undefined) return path.resolve(given);
  const home = os.homedir();
  if (process.platform === 'win32') return path.join(environment('LOCALAPPDATA') ?? path.join(home, 'AppData', 'Local'), 'matmulfree', 'Cache');
  if (process.platform === 'darwin') return path.join(home, 'Library', 'Caches', 'matmulfree');
  const xdg = environment('XDG_CACHE_HOME');
  return path.join(xdg !== undefined && path.isAbsolute(xdg) ? xdg : path.join(home, '.cache'), 'matmulfree');
}
