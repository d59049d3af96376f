import { ArgumentError, messageOf, missingPart, show, SourceError } from '../../errors.js';
import { environment, nodeModules, type NodeModules } from '../../platform/node.js';
import { attempt, blobStore, type Store } from './store.js';

/** The name of the browser's cache, unless another is given. */
const BROWSER_CACHE = 'matmulfree';

/** Where downloads are kept (`RemoteOptions.cache`): in memory where nobody said a place, and there is none to be found. @throws ArgumentError. */
export async function openStore(cache: string | false | undefined): Promise<Store> {
  if (cache === false) return blobStore();
  const node = nodeModules();
  const place = cache === undefined ? await attempt(async () => cachePlace(node, cache)) : cachePlace(node, cache);
  if (place === undefined) return blobStore();
  if (node) return (await import('./disk-store.js').catch(missingPart)).diskStore(node, place);
  // Pages without TLS, and some private windows, have none.
  return blobStore(await attempt(() => globalThis.caches?.open(place)));
}

/** The folder in Node, the cache's name in a browser. @throws ArgumentError; SourceError when the system does not tell where the user's folder is. */
export function cachePlace(node: NodeModules | undefined, cache: string | undefined): string {
  if (cache !== undefined && (typeof cache !== 'string' || cache === '')) {
    throw new ArgumentError(`the option cache is ${show(cache)}, not ${node ? 'the path of a folder' : 'a name'} or false`);
  }
  if (!node) return cache ?? BROWSER_CACHE;
  const { path, os } = node;
  const given = cache ?? environment('MATMULFREE_CACHE');
  if (given !== undefined) return path.resolve(given);
  const home = homeOf(os);
  if (process.platform === 'win32') return path.join(environment('LOCALAPPDATA') ?? path.join(home, 'AppData', 'Local'), 'matmulfree', 'Cache');
  if (process.platform === 'darwin') return path.join(home, 'Library', 'Caches', 'matmulfree');
  const xdg = environment('XDG_CACHE_HOME');
  return path.join(xdg !== undefined && path.isAbsolute(xdg) ? xdg : path.join(home, '.cache'), 'matmulfree');
}

/** Deno asks for leave, and some containers have users without one. */
function homeOf(os: NodeModules['os']): string {
  try {
    return os.homedir();
  } catch (error) {
    throw new SourceError(`there is no folder for downloads (${messageOf(error)}); set MATMULFREE_CACHE, or the option cache, to one`);
  }
}
