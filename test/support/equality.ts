import { expect } from 'vitest';

/*
 * vitest calls this before each file (setupFiles). toEqual looks at every element of an array with all that might be there, which takes
 * microseconds each. Arrays of the same numbers or texts are found to be equal at once here; all else is left to it.
 */
expect.addEqualityTesters([
  (a, b) => {
    if (ArrayBuffer.isView(a) && ArrayBuffer.isView(b)) return a.constructor === b.constructor && Buffer.compare(bytesOf(a), bytesOf(b)) === 0 ? true : undefined;
    if (Array.isArray(a) && Array.isArray(b)) return a.length === b.length && a.every((value, i) => isPlain(value) && Object.is(value, b[i])) ? true : undefined;
    return undefined;
  },
]);

function bytesOf({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

function isPlain(value: unknown): boolean {
  return typeof value === 'number' || typeof value === 'string';
}
