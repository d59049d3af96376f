import { describe, expect, it } from 'vitest';
import { FormatError } from 'matmulfree';
import { readPickle, type PickleHost } from '../../src/formats/pickle.js';
import { Pickle } from '../support/torch-file.js';

/** What the host was asked for; it knows one function and one kind of persistent object. */
type Made = { readonly made: string };
function host(calls: unknown[] = []): PickleHost<Made> {
  return {
    global: (name) => (name === 'known.f' ? { made: name } : undefined),
    persistent: (id) => ({ made: `persistent ${JSON.stringify(id)}` }),
    call: (callee, args) => {
      calls.push([callee, args]);
      return { made: 'result' };
    },
  };
}
const run = (pickle: Uint8Array): unknown => readPickle('p.bin', pickle, host());
const raw = (...parts: (string | number)[]): Uint8Array =>
  Uint8Array.from([0x80, 2, ...parts.flatMap((part) => (typeof part === 'number' ? [part] : [...part].map((c) => c.charCodeAt(0))))]);

function refuses(pickle: Uint8Array, message: RegExp): void {
  let error: unknown;
  try {
    run(pickle);
  } catch (reason) {
    error = reason;
  }
  expect(error).toBeInstanceOf(FormatError);
  expect((error as Error).message).toMatch(message);
  expect((error as Error).message).toMatch(/^p\.bin, byte \d+: .{1,200}$/);
}

describe('values', () => {
  it.each([0, 1, 255, 256, 65535, 65536, 2 ** 31 - 1, -1, -(2 ** 31), 2 ** 31, 2 ** 40])('the number %d', (value) => {
    expect(run(new Pickle().int(value).stop())).toBe(value);
  });
  it('numbers of LONG1, of every length and sign', () => {
    for (const value of [0n, 1n, -1n, 127n, -128n, 255n, 32768n, -32769n, 2n ** 53n - 1n, 1n - 2n ** 53n]) {
      for (const length of [7, 8]) {
        const bytes = Array.from({ length }, (_, i) => Number((value >> BigInt(8 * i)) & 255n));
        expect(run(raw(0x8a, length, ...bytes, '.')), `${value}`).toBe(Number(value));
      }
    }
    expect(run(raw(0x8a, 0, '.'))).toBe(0);
    expect(run(raw(0x8a, 1, 0x80, '.'))).toBe(-128);
    refuses(raw(0x8a, 8, 0, 0, 0, 0, 0, 0, 0x20, 0, '.'), /byte 2: the number 9007199254740992 is beyond/);
    refuses(raw(0x8a, 9, '123456789.'), /a number of 9 bytes/);
  });
  it('text, tuples, dictionaries, None and booleans', () => {
    const p = new Pickle();
    p.tuple(() => p.text('né'), () => p.op('N'), () => p.bool(true), () => p.tuple(() => p.bool(false), () => p.tuple()));
    expect(run(p.stop())).toEqual(['né', null, true, [false, []]]);
    const q = new Pickle().op('}').put().op('(').text('a').int(1).text('b').op('}').text('c').int(3).op('s').op('u');
    expect(run(q.stop())).toEqual(new Map<string, unknown>([['a', 1], ['b', new Map([['c', 3]])]]));
  });
  it('text with a byte order mark is not shortened', () => expect(run(new Pickle().text('\ufeffa').stop())).toBe('\ufeffa'));
  it('the memo, with numbers of one byte and of four', () => {
    const p = new Pickle().op('(').text('x').putAt(255).putAt(256).putAt(262_144).get(255).get(256).get(262_144).op('t');
    expect(run(p.stop())).toEqual(['x', 'x', 'x', 'x']);
  });
  it('globals, calls and persistent ids are the host\'s', () => {
    const calls: unknown[] = [];
    const p = new Pickle();
    p.global('known', 'f').tuple(() => p.int(1), () => p.text('a').op('Q')).op('R');
    expect(readPickle('p.bin', p.stop(), host(calls))).toEqual({ made: 'result' });
    expect(calls).toEqual([[{ made: 'known.f' }, [1, { made: 'persistent "a"' }]]]);
  });
  it('the attributes of a dictionary are left out', () => {
    expect(run(new Pickle().op('}').op('}').text('_metadata').int(1).op('s').op('b').stop())).toEqual(new Map());
  });
  it('keys that are special to JavaScript are plain keys', () => {
    const map = run(new Pickle().op('}').op('(').text('__proto__').int(1).text('constructor').int(2).op('u').stop());
    expect(map).toEqual(new Map([['__proto__', 1], ['constructor', 2]]));
  });
  it('a dictionary that holds itself', () => {
    const map = run(new Pickle().op('}').putAt(9).text('me').get(9).op('s').stop()) as Map<string, unknown>;
    expect(map.get('me')).toBe(map);
  });
});

describe('refused', () => {
  it.each([
    ['posix', 'system'], ['os', 'system'], ['nt', 'system'], ['builtins', 'eval'], ['__builtin__', 'exec'], ['subprocess', 'Popen'],
    ['known', 'g'], ['known.f', ''], ['', 'known.f'], ['torch', 'load'], ['webbrowser', 'open'], ['runpy', '_run_code'],
  ])('the global %s.%s, by name', (module, name) => {
    const message = new RegExp(`asks for ${JSON.stringify(`${module}.${name}`).replaceAll('.', '\\.')}, .*nothing was executed`);
    refuses(new Pickle().global(module, name).text('rm -rf /').op('\x85R').stop(), message);
  });
  it('a global with a long name, or one without end', () => {
    refuses(raw('c', 'm'.repeat(200), '\nf\n.'), /"m{80}…"/);
    refuses(raw('c', 'm'.repeat(300), '\nf\n.'), /no end within 256 bytes/);
    refuses(raw('cos'), /no end within/);
    refuses(raw('c', '\0'.repeat(200), '\nf\n.'), /"(\\u0000){10}…"/); // escapes do not make the message longer
  });

  const known = new Set([...'().JKMNQRXbchjqrstu}'].map((c) => c.charCodeAt(0)).concat([0x85, 0x86, 0x87, 0x88, 0x89, 0x8a]));
  it('every other opcode', () => {
    for (let opcode = 0; opcode < 256; opcode++) {
      if (!known.has(opcode)) refuses(raw(opcode, '.'), new RegExp(`byte 2: opcode 0x${opcode.toString(16)} .*not one that a checkpoint needs`));
    }
    expect(known.size).toBe(26);
    for (const [opcode, name] of [['i', 'INST'], ['o', 'OBJ'], ['\x81', 'NEWOBJ'], ['\x92', 'NEWOBJ_EX'], ['\x93', 'STACK_GLOBAL']]) {
      refuses(raw(opcode!, '.'), new RegExp(`\\(${name}\\)`));
    }
  });
  it('other protocols, and what is no pickle', () => {
    for (const protocol of [0, 1, 3, 4, 5, 255]) refuses(new Pickle(protocol).op('N').stop(), /byte 0: is not a pickle of protocol 2/);
    refuses(Uint8Array.of(0x4e, 0x2e), /not a pickle of protocol 2/);
    refuses(raw('N', 0x80, 2, '.'), /byte 3: opcode 0x80/);
    refuses(new Uint8Array(0), /byte 0: the pickle ends at byte 0/);
  });
  it('a pickle that ends anywhere inside', () => {
    const p = new Pickle().op('}').put().op('(').text('name');
    p.global('known', 'f').tuple(() => p.int(1e9), () => p.int(2 ** 40), () => p.int(300)).op('R').putAt(300).op('u');
    const good = p.stop();
    expect(run(good)).toBeInstanceOf(Map);
    for (let length = 0; length < good.length; length++) refuses(good.subarray(0, length), /ends at byte|no end within/);
    refuses(Uint8Array.from([...good, 0]), /values or bytes left over/);
  });
  it.each([
    ['no value to stop with', '.', /needs a value, a mark or a memo that is not there/], ['values left over', 'NN.', /left over/], ['a mark left over', 'N(N.', /left over/],
    ['a mark in place of a value', '(.', /needs a value, a mark or a memo that is not there/], ['a tuple without a mark', 'Nt', /needs a value, a mark or a memo that is not there/],
    ['a pair without its dictionary', 'NNs', /needs a value, a mark or a memo that is not there/], ['a dictionary below the mark', '}(NNs', /needs a value, a mark or a memo that is not there/],
    ['items for something else', 'N(u', /needs a dictionary/], ['a key without a value', '}(X\x01\0\0\0au', /needs a value, a mark or a memo that is not there/],
    ['a key that is a number', '}K\x01Ns', /the key 1 is not text/], ['a key that is a tuple', '})Ns', /the key \[\] is not text/],
    ['a key twice', '}(X\x01\0\0\0aNX\x01\0\0\0aNu', /the key "a" is not text, or occurs twice/], ['an unset memo', 'h\x07', /needs a value, a mark or a memo that is not there/],
    ['a memo too far', 'Nr\x01\0\x04\0', /sets memo 262145/], ['a memo of nothing', 'q\0', /needs a value, a mark or a memo that is not there/],
    ['a call without a tuple', '}}R', /needs a tuple/], ['attributes that are no dictionary', '}Nb', /needs a dictionary/],
    ['attributes of a tuple', ')}b', /needs a dictionary/], ['text that is not UTF-8', 'X\x02\0\0\0\xff\xfe.', /not valid UTF-8/],
    ['text longer than the file', 'X\xff\xff\xff\xffa.', /ends at byte 9/],
  ] as const)('%s', (_name, ops, message) => refuses(raw(ops), message));
});

describe('bounds', () => {
  it('steps, and with them the stack, the marks and the memo', () => {
    for (const op of ['N', '(', '}', ')', '((N', ')\x85', 'Nq\0']) refuses(raw(op.repeat(300_000)), /takes more than 262144 steps/);
    const everyMemo = new Pickle().op('N');
    for (let i = 0; i < 270_000; i++) everyMemo.putAt(i % 262_144);
    refuses(everyMemo.stop(), /takes more than 262144 steps/);
  });
  it('a tuple nested as deep as the steps go is read without recursion', () => {
    let depth = 0;
    for (let value = run(raw(')' + '\x85'.repeat(200_000), '.')); Array.isArray(value) && value.length > 0; value = value[0]) depth++;
    expect(depth).toBe(200_000);
  });
  it('tuples that double with every step cost one object each', () => {
    let value = run(raw(')', ...Array.from({ length: 1000 }, () => 'q\0h\0\x86'), '.'));
    for (let depth = 0; depth < 1000; depth++) value = (value as unknown[])[1];
    expect(value).toEqual([]);
  });
});
