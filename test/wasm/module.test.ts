import { describe, expect, it } from 'vitest';
import { f32, i32, i64, v128, type F32 } from '../../src/wasm/instructions.js';
import { createModule } from '../../src/wasm/module.js';
import { freshSeed, randomFrom } from '../support/random.js';
import { runModule } from '../support/thread-wasm.js';

interface Section {
  readonly id: number;
  readonly content: number[];
}

/** Splits a module into sections; the lengths are read with a LEB128 reader of the test's own. */
function sectionsOf(module: Uint8Array): Section[] {
  const sections: Section[] = [];
  let at = 8;
  while (at < module.length) {
    const id = module[at++]!;
    let length = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = module[at++]!;
      length += (byte % 128) * scale;
      if (byte < 128) break;
    }
    sections.push({ id, content: [...module.slice(at, at + length)] });
    at += length;
  }
  expect(at).toBe(module.length);
  return sections;
}

describe('a module', () => {
  it('is, byte for byte, what the specification makes of a small one', () => {
    const module = createModule({ sharedMemory: false });
    module.funcWithResult('id', { x: 'i32' }, 'i32', (_, { x }) => x);
    expect([...module.encode()]).toEqual([
      0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00, // \0asm, version 1
      1, 6, 1, 0x60, 1, 0x7f, 1, 0x7f, // one type: (i32) → i32
      2, 15, 1, 3, ...Buffer.from('env'), 6, ...Buffer.from('memory'), 2, 0, 1, // import env.memory, at least one page
      3, 2, 1, 0, // one function, of type 0
      7, 6, 1, 2, ...Buffer.from('id'), 0, 0, // exports function 0 as id
      10, 6, 1, 4, 0, 0x20, 0, 0x0b, // no locals; local.get 0; end
    ]);
  });

  it('has its sections once each and in order, and no other', () => {
    const { bytes } = runModule((module) => {
      module.func('nothing', {}, () => {});
      module.func('more', { a: 'f32', b: 'v128' }, (b, { a }) => void b.local('f32', a));
    });
    expect(sectionsOf(bytes).map(({ id }) => id)).toEqual([1, 2, 3, 7, 10]);
  });

  it('without functions is a valid module too', () => {
    expect(Object.keys(runModule(() => {}).exports)).toEqual([]);
  });

  it('imports its memory, shared only when asked', () => {
    for (const sharedMemory of [false, true]) {
      const module = createModule({ sharedMemory });
      module.func('f', {}, () => {});
      const bytes = module.encode();
      const limits = sharedMemory ? [3, 1, 0x80, 0x80, 0x04] : [0, 1];
      expect(sectionsOf(bytes)[1]!.content.slice(-limits.length - 1)).toEqual([2, ...limits]);
      const compiled = new WebAssembly.Module(bytes);
      expect(WebAssembly.Module.imports(compiled)).toEqual([{ module: 'env', name: 'memory', kind: 'memory' }]);
      const shared = new WebAssembly.Memory({ initial: 1, maximum: 65536, shared: true });
      const own = new WebAssembly.Memory({ initial: 1 });
      const start = (memory: WebAssembly.Memory) => () => new WebAssembly.Instance(compiled, { env: { memory } });
      expect(start(sharedMemory ? shared : own)).not.toThrow();
      expect(start(sharedMemory ? own : shared)).toThrow(WebAssembly.LinkError);
    }
  });

  it('exports every function under its name', () => {
    const module = createModule({ sharedMemory: false });
    const names = Array.from({ length: 150 }, (_, n) => `function${n}`);
    names.forEach((name, n) => module.funcWithResult(name, {}, 'i32', () => i32.const(n)));
    const compiled = new WebAssembly.Module(module.encode());
    expect(WebAssembly.Module.exports(compiled)).toEqual(names.map((name) => ({ name, kind: 'function' })));
    const { exports } = new WebAssembly.Instance(compiled, { env: { memory: new WebAssembly.Memory({ initial: 1 }) } });
    names.forEach((name, n) => expect((exports[name] as () => number)()).toBe(n));
  });
});

describe('locals', () => {
  it('of every type hold their values, start at 0, and do not mix with parameters', () => {
    const { exports, view } = runModule((module) => {
      module.func('f', { a: 'i32', b: 'i64', c: 'f32', at: 'i32' }, (b, p) => {
        const zero32 = b.local('i32');
        const zero64 = b.local('i64');
        const zeroFloat = b.local('f32');
        const zeroVector = b.local('v128');
        const [copyA, copyB, copyC] = [b.local('i32', p.a), b.local('i64', p.b), b.local('f32', p.c)] as const;
        const vector = b.local('v128', v128.const(Array.from({ length: 16 }, (_, n) => n - 1)));
        b.set(p.a, i32.const(9));
        b.run(i32.store(p.at, copyA));
        b.run(i64.atomicStore(p.at, copyB, 8));
        b.run(f32.store(p.at, copyC, 16));
        b.run(i32.store(p.at, zero32, 20));
        b.run(i64.atomicStore(p.at, zero64, 24));
        b.run(f32.store(p.at, zeroFloat, 32));
        b.run(v128.store(p.at, vector, 48));
        b.run(v128.store(p.at, zeroVector, 64));
        b.run(i32.store(p.at, p.a, 80));
      });
    });
    for (let n = 0; n < 1024; n++) view.setUint8(n, 0xee);
    exports['f']!(-5, -(2n ** 60n), 1.25, 128);
    expect(view.getInt32(128, true)).toBe(-5);
    expect(view.getBigInt64(136, true)).toBe(-(2n ** 60n));
    expect(view.getFloat32(144, true)).toBe(1.25);
    expect([view.getInt32(148, true), view.getBigInt64(152, true), view.getUint32(160, true)]).toEqual([0, 0n, 0]);
    expect([...new Uint8Array(view.buffer, 176, 16)]).toEqual(Array.from({ length: 16 }, (_, n) => (n - 1) & 255));
    expect([...new Uint8Array(view.buffer, 192, 16)]).toEqual(new Array(16).fill(0));
    expect(view.getInt32(208, true)).toBe(9);
  });

  it('may be more than 127, after more than one parameter', () => {
    const { exports } = runModule((module) => {
      module.funcWithResult('sum', { a: 'i32', b: 'i32' }, 'i32', (b, p) => {
        const locals = Array.from({ length: 300 }, (_, n) => b.local('i32', i32.mul(p.a, n)));
        const total = b.local('i32', p.b);
        for (const local of locals) b.increase(total, local);
        return total;
      });
    });
    expect(exports['sum']!(3, 1000)).toBe(1000 + 3 * ((299 * 300) / 2));
  });
});

describe('constants', () => {
  it('float32 keep their bits: -0, infinities, NaN, denormals', () => {
    const values = [0, -0, 1, -1.5, 0.1, NaN, Infinity, -Infinity, 2 ** -149, -(2 ** -126), 3.4028234663852886e38, 2 ** 31];
    const { exports, view } = runModule((module) => {
      module.func('write', {}, (b) => values.forEach((value, n) => b.run(f32.store(4 * n, f32.const(value)))));
    });
    exports['write']!();
    const expected = new DataView(new ArrayBuffer(4));
    values.forEach((value, n) => {
      expected.setFloat32(0, value);
      expect(view.getUint32(4 * n, true), `${value}`).toBe(expected.getUint32(0));
    });
  });

  const seed = freshSeed();
  it(`i32 and i64 of every size arrive as they are (seed ${seed})`, () => {
    const random = randomFrom(seed);
    const edges = [0, 1, 63, 64, 127, 128, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 52, Number.MAX_SAFE_INTEGER];
    const values = [...edges, ...edges.map((edge) => -edge - 1), ...edges.map((edge) => (edge ? -edge : 0))]
      .concat(Array.from({ length: 100 }, () => Math.floor((random.unit() * 2 - 1) * 2 ** random.integer(1, 53))))
      .filter(Number.isSafeInteger);
    const { exports } = runModule((module) => values.forEach((value, n) => {
      module.funcWithResult(`narrow${n}`, {}, 'i32', () => i32.const(value));
      module.funcWithResult(`wide${n}`, {}, 'i64', () => i64.const(value));
    }));
    values.forEach((value, n) => {
      expect(exports[`narrow${n}`]!(), `${value}`).toBe(Number(BigInt.asIntN(32, BigInt(value))));
      expect(exports[`wide${n}`]!(), `${value}`).toBe(BigInt(value));
    });
  });
});

describe('control flow', () => {
  it('if takes one branch or the other, and may lack the other', () => {
    const { exports } = runModule((module) => {
      module.funcWithResult('f', { x: 'i32' }, 'i32', (b, { x }) => {
        const result = b.local('i32', i32.const(1));
        b.if(x, () => b.set(result, i32.const(2)));
        b.if(i32.ltU(10, x), () => {
          b.if(i32.eq(x, 11), () => b.increase(result, 100), () => b.increase(result, 200));
        }, () => b.increase(result, 10));
        return result;
      });
    });
    expect([0, 5, 11, 12, -1].map((x) => exports['f']!(x))).toEqual([11, 12, 102, 202, 202]);
  });

  it('while looks first, doWhile afterwards', () => {
    const { exports } = runModule((module) => {
      module.funcWithResult('whileRounds', { x: 'i32' }, 'i32', (b, { x }) => {
        const rounds = b.local('i32');
        b.while(x, () => {
          b.increase(x, -1);
          b.increase(rounds, 1);
        });
        return rounds;
      });
      module.funcWithResult('doWhileRounds', { x: 'i32' }, 'i32', (b, { x }) => {
        const rounds = b.local('i32');
        b.doWhile(() => {
          b.increase(x, -1);
          b.increase(rounds, 1);
        }, () => i32.and(i32.ltU(0, x), i32.ltU(x, 1000)));
        return rounds;
      });
    });
    expect([0, 1, 7].map((x) => exports['whileRounds']!(x))).toEqual([0, 1, 7]);
    expect([0, 1, 7].map((x) => exports['doWhileRounds']!(x))).toEqual([1, 1, 7]);
  });

  it('for counts from, to and in steps, unsigned, and looks at its end in each round', () => {
    const { exports } = runModule((module) => {
      module.funcWithResult('rounds', { from: 'i32', end: 'i32', step: 'i32' }, 'i32', (b, { from, end, step }) => {
        const [i, rounds] = [b.local('i32'), b.local('i32')];
        b.for(i, from, end, step, () => b.increase(rounds, 1));
        return rounds;
      });
      module.funcWithResult('last', { from: 'i32', end: 'i32' }, 'i32', (b, { from, end }) => {
        const i = b.local('i32', i32.const(-7));
        b.for(i, from, end, 1, () => {});
        return i;
      });
      module.funcWithResult('constants', {}, 'i32', (b) => {
        const [i, sum] = [b.local('i32'), b.local('i32')];
        b.for(i, 3, 20, 4, () => b.increase(sum, i));
        return sum;
      });
      module.funcWithResult('shrinking', { end: 'i32' }, 'i32', (b, { end }) => {
        const i = b.local('i32');
        b.for(i, 0, end, 1, () => b.increase(end, -1));
        return i;
      });
    });
    const rounds = (...args: number[]) => exports['rounds']!(...args);
    expect([rounds(0, 10, 1), rounds(0, 10, 3), rounds(0, 9, 3), rounds(5, 5, 1), rounds(6, 5, 1), rounds(0, 0, 1)]).toEqual([10, 4, 3, 0, 0, 0]);
    // Across 2³¹, where signed numbers would stop; and from beyond it.
    expect(rounds(0x7ffffff0, 0x80000010 | 0, 4)).toBe(8);
    expect(rounds(-16, -1, 1)).toBe(15);
    expect(rounds(-16, 5, 1)).toBe(0);
    expect(rounds(5, 0xc0000000 | 0, 2 ** 30)).toBe(3);
    expect(exports['last']!(2, 6)).toBe(6);
    expect(exports['last']!(6, 2)).toBe(6);
    expect(exports['constants']!()).toBe(3 + 7 + 11 + 15 + 19);
    expect(exports['shrinking']!(10)).toBe(5);
  });

  it('loops and branches nest', () => {
    const { exports } = runModule((module) => {
      // How many primes lie below n, by trial division.
      module.funcWithResult('primes', { n: 'i32' }, 'i32', (b, { n }) => {
        const [candidate, divisor, prime, count] = [b.local('i32'), b.local('i32'), b.local('i32'), b.local('i32')] as const;
        b.for(candidate, 2, n, 1, () => {
          b.set(prime, i32.const(1));
          b.for(divisor, 2, candidate, 1, () => {
            b.if(i32.eq(i32.mul(i32.divU(candidate, divisor), divisor), candidate), () => b.set(prime, i32.const(0)));
          });
          b.if(prime, () => b.increase(count, 1));
        });
        return count;
      });
    });
    expect([0, 2, 3, 10, 100].map((n) => exports['primes']!(n))).toEqual([0, 0, 1, 4, 25]);
  });

  it('return leaves the function from within loops, and what comes after it is not run', () => {
    const { exports, view } = runModule((module) => {
      module.func('firstFrom', { x: 'i32' }, (b, { x }) => {
        const i = b.local('i32');
        b.for(i, 0, 100, 1, () => b.if(i32.geU(i32.mul(i, i), x), () => {
          b.run(i32.store(0, i));
          b.return();
        }));
        b.run(i32.store(0, i32.const(-1)));
      });
    });
    for (const [x, root] of [[0, 0], [1, 1], [2, 2], [50, 8], [9801, 99], [9802, -1]] as const) {
      exports['firstFrom']!(x);
      expect(view.getInt32(0, true), `${x}`).toBe(root);
    }
  });

  it('calls hand over arguments in order, numbers among them, and take results of every type', () => {
    const { exports, view } = runModule((module) => {
      const write = module.func('write', { at: 'i32', a: 'i32', x: 'f32', v: 'v128' }, (b, p) => {
        b.run(i32.store(p.at, p.a));
        b.run(f32.store(p.at, p.x, 4));
        b.run(v128.store(p.at, p.v, 16));
      });
      const half = module.funcWithResult('half', { x: 'f32' }, 'f32', (_, { x }): F32 => f32.mul(x, f32.const(0.5)));
      const double = module.funcWithResult('double', { x: 'i64' }, 'i64', (_, { x }) => i64.add(x, x));
      const difference = module.funcWithResult('difference', { a: 'i32', b: 'i32' }, 'i32', (_, p) => i32.sub(p.a, p.b));
      const vector = module.funcWithResult('vector', {}, 'v128', () => v128.const(Array.from({ length: 16 }, (_, n) => 16 - n)));
      module.func('main', { at: 'i32', x: 'f32' }, (b, { at, x }) => {
        b.run(write.call(at, difference.value(50, i32.add(at, 1)), half.value(half.value(x)), vector.value()));
      });
      module.funcWithResult('quadruple', { x: 'i64' }, 'i64', (_, { x }) => double.value(double.value(x)));
    });
    exports['main']!(32, 10);
    expect([view.getInt32(32, true), view.getFloat32(36, true)]).toEqual([17, 2.5]);
    expect([...new Uint8Array(view.buffer, 48, 16)]).toEqual(Array.from({ length: 16 }, (_, n) => 16 - n));
    expect(exports['quadruple']!(-(2n ** 40n))).toBe(-(2n ** 42n));
    expect(exports['difference']!(3, 5)).toBe(-2);
  });

  it('a body of more than 16,383 bytes has its length written in three', () => {
    const { bytes, exports } = runModule((module) => {
      module.funcWithResult('long', { x: 'i32' }, 'i32', (b, { x }) => {
        for (let n = 0; n < 4000; n++) b.increase(x, n);
        return x;
      });
    });
    expect(bytes.length).toBeGreaterThan(16384);
    expect(exports['long']!(1)).toBe(1 + (3999 * 4000) / 2);
  });
});
