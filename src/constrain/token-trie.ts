/** Tokens by their bytes, as a tree in preorder: a walk goes forward, or jumps over what begins wrongly. */
export interface TokenTrie {
  /** Of each node: its byte, how deep it is (the first is 1), where its subtree ends, where its tokens begin in `ids`. */
  readonly bytes: Uint8Array; //   [nodes]
  readonly depths: Uint16Array; // [nodes]
  readonly ends: Int32Array; //    [nodes]
  readonly firsts: Int32Array; //  [nodes + 1]
  readonly ids: Int32Array; //     [tokens]
  readonly maxDepth: number;
  /** Tokens that write nothing. */
  readonly silent: readonly number[];
  readonly bytesOf: ReadonlyMap<number, Uint8Array>;
}

export function buildTokenTrie(texts: ReadonlyMap<number, Uint8Array>): TokenTrie {
  const silent: number[] = [];
  const sorted: { id: number; key: string }[] = [];
  for (const [id, bytes] of texts) {
    if (bytes.length === 0) silent.push(id);
    else sorted.push({ id, key: String.fromCharCode(...bytes) });
  }
  sorted.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : a.id - b.id));
  const bytes: number[] = [];
  const depths: number[] = [];
  const ends: number[] = [];
  const firsts: number[] = [];
  const open: number[] = []; // nodes on the way to the last token
  let maxDepth = 0;
  let last = '';
  for (const [i, { key }] of sorted.entries()) {
    let shared = 0;
    while (shared < last.length && shared < key.length && last.charCodeAt(shared) === key.charCodeAt(shared)) shared++;
    while (open.length > shared) ends[open.pop()!] = bytes.length;
    for (let at = shared; at < key.length; at++) {
      open.push(bytes.length);
      bytes.push(key.charCodeAt(at));
      depths.push(at + 1);
      ends.push(0);
      firsts.push(i);
    }
    maxDepth = Math.max(maxDepth, key.length);
    last = key;
  }
  while (open.length > 0) ends[open.pop()!] = bytes.length;
  firsts.push(sorted.length);
  return {
    bytes: Uint8Array.from(bytes), depths: Uint16Array.from(depths), ends: Int32Array.from(ends), firsts: Int32Array.from(firsts),
    ids: Int32Array.from(sorted, ({ id }) => id), maxDepth, silent, bytesOf: texts,
  };
}
