import { i8x16, v128 } from '../../wasm/instructions.js';
import { createModule } from '../../wasm/module.js';

/** Whether the engine takes modules with 128-bit vectors; with relaxed ones, if `relaxed`. */
export function supportsVectors(relaxed: boolean): boolean {
  if (typeof WebAssembly === 'undefined') return false;
  const module = createModule({ sharedMemory: false });
  module.func('probe', { x: 'i32' }, (b, { x }) => {
    const value = v128.load(x);
    b.run(v128.store(x, (relaxed ? i8x16.relaxedSwizzle : i8x16.swizzle)(value, value)));
  });
  return WebAssembly.validate(module.encode());
}

/** Why the engine may not compile at all, in its own words: a Content-Security-Policy without 'wasm-unsafe-eval'. Undefined where it may. */
export async function refusal(): Promise<string | undefined> {
  try {
    await WebAssembly.compile(Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0));
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
