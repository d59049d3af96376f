/// <reference lib="webworker" />
/*
 * Keeps the page for when there is no network. All of a version is fetched at once and checked, and served as a whole; the next version
 * waits until no tab shows this one any more, or somebody asks for it. So no page is ever a mix of two versions. The model is not
 * among the files: the library keeps it (Cache API).
 */

/** The server writes both above this script. Each file has the hash of its content, as in the attribute `integrity`. */
declare const VERSION: string;
declare const FILES: readonly (readonly [path: string, integrity: string])[];

const scope = globalThis as unknown as ServiceWorkerGlobalScope;
const PREFIX = 'matmulfree-page-';
const NAME = PREFIX + VERSION;

const address = (path: string): string => new URL(path, scope.registration.scope).href;

async function install(): Promise<void> {
  const cache = await caches.open(NAME);
  await cache.addAll(FILES.map(([path, integrity]) => new Request(address(path), { integrity, cache: 'reload' })));
}

/** Pages that are open when the first version comes are not claimed: they are whole without it, and in headless Firefox 153 they hung. */
async function removeOthers(): Promise<void> {
  for (const name of await caches.keys()) if (name.startsWith(PREFIX) && name !== NAME) await caches.delete(name);
}

async function answer(request: Request): Promise<Response> {
  const cache = await caches.open(NAME);
  return (await cache.match(request, { ignoreSearch: request.mode === 'navigate' })) ?? fetch(request);
}

scope.addEventListener('install', (event) => event.waitUntil(install()));
scope.addEventListener('activate', (event) => event.waitUntil(removeOthers()));
scope.addEventListener('message', ({ data }) => {
  if (data === 'take over') void scope.skipWaiting();
});
const known = new Set(FILES.map(([path]) => address(path)));
scope.addEventListener('fetch', (event) => {
  const { request } = event;
  const { origin, pathname } = new URL(request.url);
  if (request.method === 'GET' && known.has(origin + pathname)) event.respondWith(answer(request));
});
