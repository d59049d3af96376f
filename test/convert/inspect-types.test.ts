import { describe, expect, it } from 'vitest';
import { FormatError, inspect, MatMulFreeLM, readGguf, readSafetensorsHeader, sourceFromContent } from 'matmulfree';
import { assemble, json } from '../support/checkpoints.js';
import { gguf } from '../support/gguf-files.js';

/* What inspect says of tensors of types that this library does not run. */

/** Numbers, names and bytes of a row of 512: of the structures in ggml-common.h, `sizeof` by hand. */
const GGML: readonly (readonly [id: number, name: string, rowBytes: number])[] = [
  [0, 'F32', 512 * 4], [1, 'F16', 512 * 2], [30, 'BF16', 512 * 2], [24, 'I8', 512], [25, 'I16', 512 * 2], [26, 'I32', 512 * 4], [27, 'I64', 512 * 8], [28, 'F64', 512 * 8],
  [2, 'Q4_0', 16 * (2 + 16)], [3, 'Q4_1', 16 * (2 * 2 + 16)], [6, 'Q5_0', 16 * (2 + 4 + 16)], [7, 'Q5_1', 16 * (2 * 2 + 4 + 16)], [8, 'Q8_0', 16 * (2 + 32)],
  [10, 'Q2_K', 2 * (2 * 2 + 16 + 64)], [11, 'Q3_K', 2 * (2 + 64 + 32 + 12)], [12, 'Q4_K', 2 * (2 * 2 + 12 + 128)], [13, 'Q5_K', 2 * (2 * 2 + 12 + 128 + 32)],
  [14, 'Q6_K', 2 * (2 + 16 + 192)], [15, 'Q8_K', 2 * (4 + 256 + 2 * 16)], [16, 'IQ2_XXS', 2 * (2 + 2 * 32)], [17, 'IQ2_XS', 2 * (2 + 2 * 32 + 8)], [18, 'IQ3_XXS', 2 * (2 + 96)],
  [19, 'IQ1_S', 2 * (2 + 32 + 2 * 8)], [20, 'IQ4_NL', 16 * (2 + 16)], [21, 'IQ3_S', 2 * (2 + 13 * 8 + 4)], [22, 'IQ2_S', 2 * (2 + 64 + 16)], [23, 'IQ4_XS', 2 * (2 + 2 + 4 + 128)],
  [29, 'IQ1_M', 2 * (32 + 16 + 8)], [34, 'TQ1_0', 2 * (2 + 4 * 13)], [35, 'TQ2_0', 2 * (2 + 64)], [39, 'MXFP4', 16 * (1 + 16)], [40, 'NVFP4', 8 * (4 + 32)],
  [41, 'Q1_0', 4 * (2 + 16)], [142, 'PQ2_0', 4 * (2 + 32)], [143, 'PTQ1_0', 4 * (24 + 2 + 2)],
];

const tensor = (typeNumber: number, shape: number[], bytes: number) => ({ type: 'F32' as const, typeNumber, shape, bytes: new Uint8Array(bytes) });
const named = { 'general.architecture': ['string', 'llama'] } as const;

it('lists tensors of all of ggml\'s types, and of numbers that have no name', async () => {
  const types = Object.fromEntries(GGML.map(([id, name, rowBytes]) => [name, tensor(id, [3, 512], 3 * rowBytes)]));
  const unknown = { bitnet: tensor(36, [4, 512], 4 * 128 + 32), later: tensor(99, [7], 5), last: tensor(42, [512], 136) };
  const { tensors } = await inspect({ 'all.gguf': gguf({ metadata: named, tensors: { ...types, ...unknown } }) });
  expect(tensors.slice(0, GGML.length)).toEqual(GGML.map(([, name, rowBytes]) => ({ name, type: name, shape: [3, 512], bytes: 3 * rowBytes, file: 'all.gguf' })));
  // With the padding after it: nobody can tell where such a tensor ends.
  expect(tensors.slice(GGML.length).map(({ type, bytes }) => [type, bytes])).toEqual([['I2_S', 4 * 128 + 32], ['type 99', 32], ['Q2_0', 160]]);
});

describe('a tensor whose size is not known', () => {
  it('may be anywhere in the file, and have no elements', async () => {
    const tensors = { a: tensor(99, [0], 0), b: tensor(99, [2], 64), c: tensor(0, [1], 4), d: tensor(4294967295, [1], 1) };
    const info = await inspect({ 'x.gguf': gguf({ metadata: named, tensors }) });
    expect(info.tensors.map(({ type, bytes }) => [type, bytes])).toEqual([['type 99', 0], ['type 99', 64], ['F32', 4], ['type 4294967295', 32]]);
  });

  it('that begins behind the end of the file is a broken file', async () => {
    const whole = gguf({ metadata: named, tensors: { a: tensor(0, [16], 64), b: tensor(99, [64], 64) } });
    await expect(inspect({ 'x.gguf': whole.slice(0, -70) })).rejects.toThrow(FormatError);
    await expect(inspect({ 'x.gguf': whole.slice(0, -70) })).rejects.toThrow(/x\.gguf: tensor "[ab]": bytes .* are needed but the file has/);
  });
});

it.each([['truncated', [3, 512], 3 * 288 - 1, /bytes .* are needed but the file has/], ['of rows that are not whole blocks', [3, 500], 3 * 288, /rows of 500 are not whole Q4_K blocks of 256/]] as const)(
  'what is known of a type is checked: a tensor %s', async (_name, shape, bytes, message) => {
    const file = gguf({ metadata: named, tensors: { w: { ...tensor(12, [...shape], 3 * 288) } } });
    await expect(inspect({ 'x.gguf': file.slice(0, file.length - (3 * 288 - bytes)) })).rejects.toThrow(message);
  });

it('lists the parts of a split file of such types', async () => {
  const part = (no: number): Uint8Array => gguf({
    metadata: { ...(no === 0 ? named : {}), 'split.no': ['u16', no], 'split.count': ['u16', 2], 'split.tensors.count': ['i32', 2] },
    tensors: { [`w${no}`]: tensor([12, 77][no]!, [256], 144) },
  });
  const { tensors } = await inspect({ 'm-00001-of-00002.gguf': part(0), 'm-00002-of-00002.gguf': part(1) });
  expect(tensors.map(({ name, type, bytes, file }) => [name, type, bytes, file])).toEqual([['w0', 'Q4_K', 144, 'm-00001-of-00002.gguf'], ['w1', 'type 77', 160, 'm-00002-of-00002.gguf']]);
});

describe('safetensors', () => {
  /** Bits of an element: the table of safetensors 0.8 (`Dtype`). */
  const BITS: Record<string, number> = {
    BOOL: 8, U8: 8, I8: 8, F8_E5M2: 8, F8_E4M3: 8, F8_E8M0: 8, F8_E4M3FNUZ: 8, F8_E5M2FNUZ: 8, F4: 4, F6_E2M3: 6, F6_E3M2: 6, I16: 16, U16: 16, F16: 16, BF16: 16,
    I32: 32, U32: 32, F32: 32, C64: 64, F64: 64, I64: 64, U64: 64,
  };
  function file(types: Record<string, number>, spoil = 0): Uint8Array {
    let end = 0;
    const entries = Object.entries(types).map(([dtype, bits]) => [dtype, { dtype, shape: [2, 4], data_offsets: [end, (end += bits + spoil)] }]); // 8 elements
    return assemble(JSON.stringify(Object.fromEntries(entries)), new Uint8Array(end));
  }

  it('lists all of its dtypes, and those that have no name yet', async () => {
    const { tensors } = await inspect({ 'x.safetensors': file({ ...BITS, F7: 11 }) });
    expect(tensors.map(({ type, bytes }) => [type, bytes])).toEqual([...Object.entries(BITS), ['F7', 11]]);
    const folder = await inspect({ 'config.json': json({}), 'model.safetensors': file(BITS) });
    expect(folder.tensors.length).toBe(Object.keys(BITS).length);
  });

  it.each(Object.entries(BITS))('%s: a size that disagrees with the shape is a broken file', async (dtype, bits) => {
    await expect(inspect({ 'x.safetensors': file({ [dtype]: bits }, 1) })).rejects.toThrow(new RegExp(`"${dtype}": ${dtype} \\[2,4\\] needs ${bits} bytes but its data_offsets span ${bits + 1}`));
  });
});

it('readers and load take no other types than before', async () => {
  const source = sourceFromContent('x.gguf', gguf({ metadata: named, tensors: { w: tensor(12, [256], 144) } }));
  await expect(readGguf(source)).rejects.toThrow(/x\.gguf: the info of tensor "w" has the ggml type Q4_K, which is not read/);
  await expect(MatMulFreeLM.load({ 'x.gguf': gguf({ metadata: named, tensors: { w: tensor(98, [256], 144) } }) })).rejects.toThrow(/has the ggml type number 98, which is not read/);
  const entry = { w: { dtype: 'F8_E4M3', shape: [8], data_offsets: [0, 8] } };
  await expect(readSafetensorsHeader(sourceFromContent('x', assemble(JSON.stringify(entry), new Uint8Array(8))))).rejects.toThrow(/unknown dtype "F8_E4M3"/);
});
