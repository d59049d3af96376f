/**
 * Binary encoding of WebAssembly modules (WebAssembly Core Specification 2.0, §5). Long arrays are joined by `concat`: spread or flattened,
 * the module of the kernels takes twice as long on Node 20.
 */

/** A value type of the specification, §5.3. */
export type ValueType = 'i32' | 'i64' | 'f32' | 'v128';

export const TYPE_CODES: Readonly<Record<ValueType, number>> = { i32: 0x7f, i64: 0x7e, f32: 0x7d, v128: 0x7b };

/** Unsigned LEB128 of a whole number, 0 ≤ value < 2⁵³. */
export function unsignedLeb(value: number): number[] {
  const bytes: number[] = [];
  for (let rest = value; ; ) {
    const low = rest % 128;
    rest = Math.floor(rest / 128);
    if (rest === 0) return [...bytes, low];
    bytes.push(low | 128);
  }
}

/** Signed LEB128 of a whole number, |value| < 2⁵³. */
export function signedLeb(value: number): number[] {
  const bytes: number[] = [];
  for (let rest = value; ; ) {
    const low = ((rest % 128) + 128) % 128;
    rest = Math.floor(rest / 128);
    if ((rest === 0 && low < 64) || (rest === -1 && low >= 64)) return [...bytes, low];
    bytes.push(low | 128);
  }
}

/** The four bytes of a float32, little-endian. */
export function float32Bytes(value: number): number[] {
  return [...new Uint8Array(Float32Array.of(value).buffer)];
}

/** A name: its length and ASCII characters. */
export function nameBytes(name: string): number[] {
  return [...unsignedLeb(name.length), ...Array.from(name, (c) => c.charCodeAt(0))];
}

/** A vector: the number of items, then the items. */
export function vectorBytes(items: readonly (readonly number[])[]): number[] {
  return unsignedLeb(items.length).concat(...items);
}

/** A section: id, length in bytes, content. */
export function sectionBytes(id: number, content: readonly number[]): number[] {
  return [id, ...unsignedLeb(content.length)].concat(content);
}
