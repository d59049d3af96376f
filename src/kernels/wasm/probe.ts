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
