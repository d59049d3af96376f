/**
 * Hands out typed views on one block of memory, 64-byte aligned, never freed one by one: all weights and work space of a
 * model lie in one arena, so that a WebAssembly backend can be given the same views on its own memory.
 */
export interface Arena {
  f32(length: number): Float32Array;
  i8(length: number): Int8Array;
  u8(length: number): Uint8Array;
  u16(length: number): Uint16Array;
  u32(length: number): Uint32Array;
}

const ALIGNMENT = 64;

/** An arena on `buffer`, from byte `start` on. Views throw RangeError when the buffer is too small: measure first. */
export function arenaOn(buffer: ArrayBufferLike, start = 0): Arena {
  let next = start;
  const take = (bytes: number): number => {
    const at = next;
    next += alignedBytes(bytes);
    return at;
  };
  return {
    f32: (length) => new Float32Array(buffer, take(length * 4), length),
    i8: (length) => new Int8Array(buffer, take(length), length),
    u8: (length) => new Uint8Array(buffer, take(length), length),
    u16: (length) => new Uint16Array(buffer, take(length * 2), length),
    u32: (length) => new Uint32Array(buffer, take(length * 4), length),
  };
}

/** Bytes that `allocate` asks of an arena. It is run on empty views: it must only allocate, not read or write. */
export function measureArena(allocate: (arena: Arena) => void): number {
  let total = 0;
  const count = (bytes: number): void => {
    total += alignedBytes(bytes);
  };
  allocate({
    f32: (length) => (count(length * 4), new Float32Array(0)),
    i8: (length) => (count(length), new Int8Array(0)),
    u8: (length) => (count(length), new Uint8Array(0)),
    u16: (length) => (count(length * 2), new Uint16Array(0)),
    u32: (length) => (count(length * 4), new Uint32Array(0)),
  });
  return total;
}

function alignedBytes(bytes: number): number {
  return Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
}
