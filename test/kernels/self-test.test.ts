import { describe, expect, it } from 'vitest';
import { emitKernels } from '../../src/kernels/wasm/emit.js';
import { findFault } from '../../src/kernels/wasm/self-test.js';
import { FULL } from '../support/effort.js';
import { MODULES, type KernelModule } from '../support/kernel-modules.js';
import { readFunctions } from '../support/wasm-code.js';
import { forgottenOperands, forgottenSums, idleFunctions, otherInstructions, wrongStores, type Fault } from '../support/wasm-faults.js';

/*
 * Every function of the modules with a fault in it: the test before use must notice. A function that is added without an entry in
 * self-test.ts fails here.
 */

/** Lines that are brought into the caches, and what keeps that from being dropped: no result depends on them. */
const ONLY_TOUCH = /^touch/;

const test = ({ backend, products, shared }: KernelModule, bytes: Uint8Array<ArrayBuffer>): string | undefined =>
  findFault({ backend, module: new WebAssembly.Module(bytes), products, shared });

it.each(MODULES)('nothing is wrong in this engine: $name', (module) => {
  if (module.runs) expect(test(module, emitKernels({ products: module.products, threads: module.shared }))).toBeUndefined();
});

/** These have all functions, and all instructions. */
const SPOILT = MODULES.filter(({ backend, shared }) => (backend !== 'simd') === shared);

describe.each(SPOILT)('the self-test of $name', (spoilt) => {
  const { backend, products, shared, runs } = spoilt;
  const bytes = emitKernels({ products, threads: shared });
  /** All that ternaryRows of look-ups stores itself is what it has touched. */
  const harmless = backend === 'dot' ? ONLY_TOUCH : /^(touch|ternaryRows,)/;
  /** Whether all faults are tried; otherwise of each function the first and the last one. Two of the modules differ in one instruction. */
  const all = FULL && backend !== 'relaxed';
  /** Faults that are not noticed. */
  const missed = (faults: Iterable<Fault>, harmless: RegExp = ONLY_TOUCH): string[] => {
    const list = [...faults].filter(({ name }) => !harmless.test(name));
    expect(list.length).toBeGreaterThan(20);
    const isFirst = ({ where }: Fault, n: number): boolean => list[n - 1]?.where !== where;
    const isLast = ({ where }: Fault, n: number): boolean => list[n + 1]?.where !== where;
    return list.filter((fault, n) => all || isFirst(fault, n) || isLast(fault, n)).filter((fault) => test(spoilt, fault.module()) === undefined).map(({ name }) => name);
  };

  it.skipIf(!runs)('names the kernel that is wrong', () => {
    const idle = new Map([...idleFunctions(bytes)].map((fault) => [fault.name, fault]));
    expect(test(spoilt, idle.get('ternaryRows')!.module())).toBe("this engine's WebAssembly gives wrong results (in a test before use: ternaryRows)");
    if (shared) expect(test(spoilt, idle.get('worker')!.module())).toMatch(/: worker\)$/);
  });

  it.skipIf(!runs)('notices a function that does nothing, whichever it is', () => {
    expect([...idleFunctions(bytes)].map(({ name }) => name)).toEqual(readFunctions(bytes).map(({ name }) => name));
    expect(missed(idleFunctions(bytes))).toEqual([]);
  });

  it.skipIf(!runs)('notices what baseline compilers of V8 make of some instructions', () => {
    if (backend !== 'dot') expect(missed(forgottenOperands(bytes, new Set([0xfd00e, 0xfd082, 0xfd100])))).toEqual([]);
    else expect(missed(forgottenSums(bytes))).toEqual([]);
  });

  it.skipIf(!runs)('notices a stored value that is off by one', () => {
    for (const byte of all ? [0, 7] : [5]) expect(missed(wrongStores(bytes, byte), harmless)).toEqual([]);
  });

  if (all) it.skipIf(!runs)('notices one instruction in place of another', { timeout: 300_000 }, () => {
    // Rounding to int8 comes to the same either way, but for ties.
    expect(missed(otherInstructions(bytes), new RegExp(`${harmless.source}|^rmsNormQuantize, .*: 0xfd069 is`))).toEqual([]);
  });
});
