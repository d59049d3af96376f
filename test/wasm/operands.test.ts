import { describe, expect, it } from 'vitest';
import { i16x8, i8x16, v128, type V128 } from '../../src/wasm/instructions.js';
import { createModule } from '../../src/wasm/module.js';
import { emitKernels } from '../../src/kernels/wasm/emit.js';
import { MODULES } from '../support/kernel-modules.js';
import { CALL, LOCAL_GET, LOCAL_TEE, readFunctions, shapeOf, withFunctions, type WasmFunction } from '../support/wasm-code.js';

/*
 * V8's baseline compiler without AVX gives some instructions the register of their second operand for the result, and writes the first
 * one there before it has read the second: `v128Overwriting` in instructions.ts. These are all that it does this to, in Node 20, 22 and
 * 24, of all vector instructions with two operands; wasm-programs.ts looks for more.
 */
const OVERWRITING = new Map([[0xfd00e, 'i8x16.swizzle'], [0xfd100, 'i8x16.relaxed_swizzle'], [0xfd082, 'i16x8.q15mulr_sat_s']]);
/** The same the other way round, so that nothing helps: none of our modules has them. */
const HOPELESS = new Map([[0xfd111, 'i16x8.relaxed_q15mulr_s'], [0xfd112, 'i16x8.relaxed_dot_i8x16_i7x16_s']]);

/** Instructions whose first operand is a variable as it is, and how many have a safe one. */
function lookAt(functions: readonly WasmFunction[]): { unsafe: string[]; safe: number; hopeless: string[] } {
  const [unsafe, hopeless]: [string[], string[]] = [[], []];
  let safe = 0;
  for (const { name, result, instructions } of functions) {
    /** Of each operand on the stack, whether it is a variable. */
    const stack: boolean[] = [];
    for (const { opcode, index } of instructions) {
      const called = opcode === CALL ? functions[index]! : undefined;
      const { takes, gives } = called ? { takes: called.parameters, gives: Number(called.result !== undefined) } : shapeOf(opcode);
      const operands = takes === 0 ? [] : stack.splice(-takes);
      expect(operands, `${name}: operands of 0x${opcode.toString(16)}`).toHaveLength(takes);
      const watched = OVERWRITING.get(opcode);
      if (watched !== undefined && operands[0]) unsafe.push(`${name}: ${watched}`);
      if (watched !== undefined && !operands[0]) safe++;
      if (HOPELESS.has(opcode)) hopeless.push(`${name}: ${HOPELESS.get(opcode)}`);
      for (let n = 0; n < gives; n++) stack.push(opcode === LOCAL_GET || opcode === LOCAL_TEE);
    }
    expect(stack, `left on the stack of ${name}`).toHaveLength(Number(result !== undefined));
  }
  return { unsafe, safe, hopeless };
}

describe.each(MODULES)('kernels, $backend, shared $shared', ({ products, shared, backend }) => {
  const bytes = emitKernels({ products, threads: shared });

  it('give no variable to an instruction that would overwrite its other operand', () => {
    const { unsafe, safe, hopeless } = lookAt(readFunctions(bytes));
    expect([unsafe, hopeless]).toEqual([[], []]);
    if (backend !== 'dot') expect(safe).toBeGreaterThan(20); // it looks nothing up
  });

  it('are read and written to the byte', () => expect(withFunctions(bytes, readFunctions(bytes))).toEqual(bytes));
});

it.each([
  ['swizzle', i8x16.swizzle], ['relaxedSwizzle', i8x16.relaxedSwizzle], ['q15MulrSat', i16x8.q15MulrSat],
] as [string, (a: V128, b: V128) => V128][])('%s: a variable goes through a shuffle, what is computed does not', (_, instruction) => {
  const module = createModule({ sharedMemory: false });
  module.func('f', {}, (b) => {
    const [x, y] = [b.local('v128'), b.local('v128')] as const;
    const values = [instruction(x, y), instruction(x, v128.load(0)), instruction(v128.load(0), y), instruction(v128.load(0), v128.load(16)), instruction(x, instruction(x, x))];
    for (const value of values) b.run(v128.store(32, value));
  });
  const functions = readFunctions(module.encode());
  expect(lookAt(functions)).toMatchObject({ unsafe: [], safe: 6 });
  expect(functions[0]!.instructions.filter(({ opcode }) => opcode === 0xfd00d)).toHaveLength(4);
});

it('the same instruction on a variable as it is would be found', () => {
  const module = createModule({ sharedMemory: false });
  module.func('f', {}, (b) => {
    const x = b.local('v128');
    const { type, code } = x;
    b.run(v128.store(0, i8x16.swizzle({ type, code }, v128.load(0))));
  });
  expect(lookAt(readFunctions(module.encode())).unsafe).toEqual(['f: i8x16.swizzle']);
});
