/** Takes bytes in order; gives their SHA-256 at the end. */
export interface Hasher {
  update(bytes: Uint8Array): void;
  /** 64 lower-case hex digits. Ends the hasher's life. */
  hex(): string;
}

/** SHA-256 (FIPS 180-4) for engines whose own does not stream, or is closed to pages without TLS (crypto.subtle). */
export function createSha256(): Hasher {
  const state = new Uint32Array(8);
  const K = new Uint32Array(64);
  // The constants are the first 32 bits after the point of square and cube roots of primes; float64 has 16 bits to spare.
  for (let n = 2, found = 0; found < 64; n++) {
    let divisor = 2;
    while (n % divisor !== 0) divisor++;
    if (divisor !== n) continue;
    if (found < 8) state[found] = (Math.sqrt(n) % 1) * 2 ** 32;
    K[found++] = (Math.cbrt(n) % 1) * 2 ** 32;
  }
  const block = new Uint8Array(64);
  const view = new DataView(block.buffer);
  const W = new Uint32Array(64);
  let filled = 0;
  let length = 0;

  const rotate = (x: number, n: number): number => (x >>> n) | (x << (32 - n));
  const compress = (): void => {
    for (let t = 0; t < 16; t++) W[t] = view.getUint32(4 * t);
    for (let t = 16; t < 64; t++) {
      const u = W[t - 15]!;
      const v = W[t - 2]!;
      W[t] = W[t - 16]! + W[t - 7]! + (rotate(u, 7) ^ rotate(u, 18) ^ (u >>> 3)) + (rotate(v, 17) ^ rotate(v, 19) ^ (v >>> 10));
    }
    let [a, b, c, d, e, f, g, h] = state as unknown as [number, number, number, number, number, number, number, number];
    for (let t = 0; t < 64; t++) {
      const t1 = (h + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) + ((e & f) ^ (~e & g)) + K[t]! + W[t]!) | 0;
      const t2 = ((rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      h = g;
      g = f;
      f = e;
      e = (d + t1) | 0;
      d = c;
      c = b;
      b = a;
      a = (t1 + t2) | 0;
    }
    [a, b, c, d, e, f, g, h].forEach((word, i) => { state[i] = state[i]! + word; });
  };

  const update = (bytes: Uint8Array): void => {
    length += bytes.length;
    for (let at = 0; at < bytes.length; ) {
      const part = bytes.subarray(at, at + 64 - filled);
      block.set(part, filled);
      at += part.length;
      filled = (filled + part.length) % 64;
      if (filled === 0) compress();
    }
  };
  const hex = (): string => {
    const bits = length * 8;
    update(Uint8Array.of(0x80));
    update(new Uint8Array((120 - filled) % 64)); // zeros up to the last 8 bytes of a block
    view.setUint32(56, bits / 2 ** 32);
    view.setUint32(60, bits); // modulo 2³²
    compress();
    return Array.from(state, (word) => word.toString(16).padStart(8, '0')).join('');
  };
  return { update, hex };
}

/** A short name for `text`, the same everywhere: 16 hex digits of its SHA-256. */
export function shortHash(text: string): string {
  const hasher = createSha256();
  hasher.update(new TextEncoder().encode(text));
  return hasher.hex().slice(0, 16);
}
