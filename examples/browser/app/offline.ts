import { create, element } from './page.js';

/** Keeps the page for when there is no network. It works without, too: in private windows, and where there is no https. */
export async function keepForOffline(): Promise<void> {
  const { serviceWorker } = navigator;
  if (!serviceWorker || !isSecureContext) return;
  const say = (text: string): void => element('offline').replaceChildren(text);
  const hadOne = serviceWorker.controller !== null;
  serviceWorker.addEventListener('controllerchange', () => {
    if (hadOne) location.reload(); // a new version has taken over: all of the page is to be of it
  });
  try {
    const registration = await serviceWorker.register(new URL('../service-worker.js', import.meta.url), { updateViaCache: 'none' });
    const offerUpdate = (): void => {
      if (!registration.waiting || !serviceWorker.controller) return;
      const take = create('button', 'link', 'use it now');
      take.type = 'button';
      take.addEventListener('click', () => registration.waiting?.postMessage('take over'));
      element('offline').replaceChildren('There is a new version of this page: ', take, '.');
    };
    registration.addEventListener('updatefound', () => registration.installing?.addEventListener('statechange', offerUpdate));
    await serviceWorker.ready;
    say('This page works without a network from now on.');
    offerUpdate();
  } catch {
    say('This page needs a network here.');
  }
}
