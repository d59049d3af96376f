import type { ModelSource } from 'matmulfree/worker';
import { droppedFiles, nameOf } from './files.js';
import { EMBEDDED, type Wish } from './models.js';
import { element } from './page.js';
import { clearTrouble, inPlainWords, showTrouble } from './trouble.js';

/** The ways to another model: a dialog, and files that are dropped on the page. */
export function offerModels(load: (wish: Wish) => void): void {
  const dialog = element<HTMLDialogElement>('chooser');
  let visit = 0;
  /** The dialog stays until the model is there: what is wrong can be put right where it was written. */
  const take = (name: string, source: ModelSource): void => {
    const asked = visit;
    const onLoaded = (): void => {
      if (!dialog.open || visit !== asked) return;
      dialog.close();
      leave();
    };
    load({ name, source, onLoaded });
  };
  const takeFiles = (files: readonly File[]): void => {
    if (files.length > 0) take(nameOf(files), files.length === 1 ? files[0]! : files);
  };
  // All that is not in the dialog is out of reach while it is open, for screen readers too. So the notices go with the reader.
  element('model').addEventListener('click', () => {
    visit++;
    clearTrouble();
    element('chooser-notices').append(element('notices'));
    dialog.showModal();
  });
  const leave = (): void => {
    clearTrouble();
    element('dock').prepend(element('notices'));
  };
  dialog.addEventListener('close', leave);
  element('chooser-close').addEventListener('click', () => dialog.close());
  dialog.addEventListener('click', (event) => {
    if (event.target === dialog) dialog.close(); // beside it
  });
  element('embedded').addEventListener('click', () => take(EMBEDDED.name, EMBEDDED.source));
  for (const kind of ['file', 'folder']) {
    const input = element<HTMLInputElement>(`${kind}-input`);
    element(`choose-${kind}`).addEventListener('click', () => input.click());
    input.addEventListener('change', () => {
      takeFiles([...(input.files ?? [])]);
      input.value = ''; // so that the same file can be chosen again
    });
  }
  element('address-form').addEventListener('submit', (event) => {
    event.preventDefault();
    const address = element<HTMLInputElement>('address').value.trim();
    // Anything else would be looked for on a disk, and a page has none. A path of a disk is no address: it is refused as a name.
    const source = /^(hf|https?):/i.test(address) ? address : `${/^[\w-]+\/[\w.-]+|[\s\\]/.test(address) ? 'hf:' : 'https://'}${address}`;
    if (isForbidden(source)) {
      return showTrouble({
        what: 'This page may not load from there.', advice: 'Give an address that begins with https://, or download the model and drop its files here.',
        detail: `${source}: forbidden by connect-src in the page's Content-Security-Policy`,
      });
    }
    take(address.replace(/[?#].*$|\.gguf$|\/$/gi, '').replace(/^.*[/:]/, ''), source);
  });
  takeDrops(takeFiles);
}

/** As index.html says: without encryption only from here, and from this machine. It would be tried for long, and in vain. */
function isForbidden(source: string): boolean {
  if (!/^http:/i.test(source) || !URL.canParse(source)) return false;
  const { origin, hostname } = new URL(source);
  return origin !== location.origin && hostname !== 'localhost' && hostname !== '127.0.0.1';
}

function takeDrops(take: (files: readonly File[]) => void): void {
  const veil = element('drop');
  const hasFiles = (event: DragEvent): boolean => event.dataTransfer?.types.includes('Files') ?? false;
  document.addEventListener('dragover', (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    veil.hidden = false;
  });
  document.addEventListener('dragleave', (event) => {
    if (event.relatedTarget === null) veil.hidden = true; // it has left the window
  });
  document.addEventListener('drop', (event) => {
    veil.hidden = true;
    if (!hasFiles(event)) return;
    event.preventDefault();
    droppedFiles(event.dataTransfer!).then(take, (error: unknown) => showTrouble(inPlainWords(error)));
  });
}
