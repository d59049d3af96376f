/** An element of index.html. */
export function element<T extends Element = HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no element ${id}`);
  return found as unknown as T;
}

/** A new element. Text is set as text, never as markup: it comes from models, files and servers. */
export function create<K extends keyof HTMLElementTagNameMap>(name: K, className = '', text = ''): HTMLElementTagNameMap[K] {
  const made = document.createElement(name);
  if (className !== '') made.className = className;
  made.textContent = text;
  return made;
}

/** A new button that looks like a link. */
export function button(text: string, onClick: () => void): HTMLButtonElement {
  const made = create('button', 'link', text);
  made.type = 'button';
  made.addEventListener('click', onClick);
  return made;
}

/** Tells people who listen to the page, when they are not listening to something else. */
export function announce(text: string): void {
  element('announce').textContent = text;
}
