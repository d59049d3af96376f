import { SourceError } from '../errors.js';

/*
 * The one place that touches Node, with threads.ts, which every page has. It asks the running engine for its built-in modules
 * (`process.getBuiltinModule`, Node 20.16 and later; Deno and Bun have it too), so that nothing here is an import that a browser or a
 * bundler would trip over.
 */

export type FileSystem = typeof import('node:fs/promises');
export type WorkerThreads = typeof import('node:worker_threads');

export interface NodeModules {
  readonly fs: FileSystem;
  readonly path: typeof import('node:path');
  readonly url: typeof import('node:url');
  readonly os: typeof import('node:os');
  readonly crypto: typeof import('node:crypto');
}

/** Node's modules, or undefined in a browser. @throws SourceError for a Node that is too old to hand them out. */
export function nodeModules(): NodeModules | undefined {
  const host = globalThis.process as NodeJS.Process | undefined;
  const get = host?.getBuiltinModule as NodeJS.Process['getBuiltinModule'] | undefined;
  if (!get) {
    if (host?.versions?.node) throw new SourceError(`Node ${host.versions.node} is too old to read files here: 20.16 or later is needed`);
    return undefined;
  }
  return {
    fs: get('node:fs/promises'), path: get('node:path'), url: get('node:url'), os: get('node:os'), crypto: get('node:crypto'),
  };
}

/** A variable of the environment, unless it is empty, or not for us to see (Deno). */
export function environment(name: string): string | undefined {
  try {
    return (globalThis.process as NodeJS.Process | undefined)?.env?.[name]?.trim() || undefined;
  } catch {
    return undefined;
  }
}

/** Whether this is a browser that has no network. Others may have none either. */
export function isOffline(): boolean {
  return globalThis.navigator?.onLine === false;
}
