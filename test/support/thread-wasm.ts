import { createModule, type ModuleBuilder } from '../../src/wasm/module.js';

/** A module that the test writes, running on a memory of one page. */
export interface Running {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly memory: WebAssembly.Memory;
  readonly view: DataView;
  readonly exports: Record<string, (...args: (number | bigint)[]) => number | bigint | undefined>;
}

/** Encodes and instantiates what `write` puts into a module. @throws when the engine does not validate it. */
export function runModule(write: (module: ModuleBuilder) => void, options: { shared?: boolean } = {}): Running {
  const { shared = false } = options;
  const module = createModule({ sharedMemory: shared });
  write(module);
  const bytes = module.encode();
  if (!WebAssembly.validate(bytes)) throw new Error(`the module does not validate: ${compileError(bytes)}`);
  const memory = new WebAssembly.Memory(shared ? { initial: 1, maximum: 65536, shared } : { initial: 1 });
  const instance = new WebAssembly.Instance(new WebAssembly.Module(bytes), { env: { memory } });
  return { bytes, memory, view: new DataView(memory.buffer), exports: instance.exports as Running['exports'] };
}

function compileError(bytes: Uint8Array<ArrayBuffer>): string {
  try {
    new WebAssembly.Module(bytes);
    return 'but compiles';
  } catch (error) {
    return String(error);
  }
}
