/** The added tokens as a radix tree: one node per token or fork, so its size does not depend on how long tokens are. */

interface Node<T> {
  label: string; // what leads here from the parent
  value: T | undefined;
  next: Map<number, Node<T>> | undefined; // by first UTF-16 unit of the label
}

export class TokenTree<T> {
  readonly #root: Node<T> = { label: '', value: undefined, next: undefined };

  get empty(): boolean {
    return this.#root.next === undefined;
  }

  /** Adds a text that is not empty; one that is there already keeps its value. */
  insert(text: string, value: T): void {
    let node = this.#root;
    for (let at = 0; at < text.length; ) {
      node.next ??= new Map();
      const unit = text.charCodeAt(at);
      const child = node.next.get(unit);
      if (child === undefined) {
        node.next.set(unit, { label: text.slice(at), value, next: undefined });
        return;
      }
      const { label } = child;
      let shared = 1;
      while (shared < label.length && at + shared < text.length && label.charCodeAt(shared) === text.charCodeAt(at + shared)) shared++;
      if (shared < label.length) {
        const fork: Node<T> = { label: label.slice(0, shared), value: undefined, next: new Map([[label.charCodeAt(shared), child]]) };
        child.label = label.slice(shared);
        node.next.set(unit, fork);
        node = fork;
      } else {
        node = child;
      }
      at += shared;
    }
    node.value ??= value;
  }

  /** The longest of the texts that begins at `at`. */
  longestAt(text: string, at: number): { value: T; end: number } | undefined {
    let found: { value: T; end: number } | undefined;
    let node = this.#root.next?.get(text.charCodeAt(at));
    for (let end = at; node !== undefined && text.startsWith(node.label, end); ) {
      end += node.label.length;
      if (node.value !== undefined) found = { value: node.value, end };
      node = end < text.length ? node.next?.get(text.charCodeAt(end)) : undefined;
    }
    return found;
  }
}
