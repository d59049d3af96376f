import type { ModelSource } from 'matmulfree/worker';
import { droppedFiles, nameOf } from './files.js';
import { EMBEDDED } from './models.js';
import { element } from './page.js';
import { inPlainWords, showTrouble } from './trouble.js';

/** The ways to another model: a dialog, and files that are dropped on the page. */
export function offerModels(load: (name: string, source: ModelSource) => void): void {
  const dialog = element<HTMLDialogElement>('chooser');
  const take = (name: string, source: ModelSource): void => {
    dialog.close();
    load(name, source);
  };
  const takeFiles = (files: readonly File[]): void => {
    if (files.length > 0) take(nameOf(files), files.length === 1 ? files[0]! : files);
  };
  element('model').addEventListener('click', () => dialog.showModal());
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
    // Anything else would be looked for on a disk, and a page has none.
    const source = /^(hf|https?):/i.test(address) ? address : /^[\w.-]+\/[\w.-]+/.test(address) ? `hf:${address}` : `https://${address}`;
    take(address.replace(/^hf:|^https?:\/\/|[?#].*$/gi, '').replace(/^.*\/(?=.)/, ''), source);
  });
  takeDrops(takeFiles);
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
