import { createWriteStream, existsSync } from 'node:fs';
import { rename, writeFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Blueprint } from 'matmulfree';
import { isBitLinear } from '../src/architectures/blueprint.js';

/*
 * The products of a model as an ONNX graph, with random weights of a few bits in groups of 128 columns (com.microsoft.MatMulNBits): for every mixer one
 * product of all its matrices that read the hidden state, and one of that which writes it; then the head. Field numbers are those of onnx.proto.
 */

const GROUP = 128;
const HEAD = 'head';
const [FLOAT, UINT8, INT64] = [1, 2, 7];

/** A field of a message, encoded. */
const varint = (value: number): number[] => (value < 128 ? [value] : [128 | value % 128, ...varint(Math.floor(value / 128))]);
const number = (field: number, value: number): Uint8Array => Uint8Array.from([...varint(8 * field), ...varint(value)]);
const bytes = (field: number, value: Uint8Array): Uint8Array => Buffer.concat([Uint8Array.from([...varint(8 * field + 2), ...varint(value.length)]), value]);
const text = (field: number, value: string): Uint8Array => bytes(field, new TextEncoder().encode(value));
const message = (field: number, ...parts: readonly Uint8Array[]): Uint8Array => bytes(field, Buffer.concat(parts));

/** A matrix [rows, columns] of the graph. */
interface Product {
  readonly name: string;
  readonly rows: number;
  readonly columns: number;
}

/** In the order in which a token goes through them. */
export function productsOf(blueprint: Blueprint): Product[] {
  const { blocks, config: { hiddenSize: hidden, vocabSize } } = blueprint;
  const products = blocks.flatMap(({ tokenMixer, channelMixer }, n) => [tokenMixer, channelMixer].flatMap((mixer, m): Product[] => {
    // The last one writes the hidden state, those before read it.
    const shapes = Object.values<Parameters<typeof isBitLinear>[0] | undefined>(mixer?.parts ?? {}).flatMap((part) => (part && isBitLinear(part) ? [part.weight.shape] : []));
    const [rows = 0, columns = 0] = shapes.pop() ?? [];
    const reading = shapes.reduce((sum, shape) => sum + shape[0], 0);
    return rows === 0 ? [] : [{ name: `${n}.${m}.in`, rows: reading, columns: hidden }, { name: `${n}.${m}.out`, rows, columns }];
  }));
  return [...products, { name: HEAD, rows: vocabSize, columns: hidden }];
}

/** Written once, and kept, with its weights in a file beside it. */
export async function onnxFile(path: string, blueprint: Blueprint, bits: 4 | 2): Promise<string> {
  if (existsSync(path)) return path;
  const data = `${path}.data`;
  const products = productsOf(blueprint);
  const pool = Uint8Array.from({ length: 1 << 20 }, (_, n) => Math.imul(n + 1, 2654435761) >>> 24);
  let offset = 0;
  const stored = (name: string, type: number, dims: readonly number[], length: number): Uint8Array => {
    const entry = (key: string, value: string): Uint8Array => message(13, text(1, key), text(2, value));
    const tensor = message(
      5, ...dims.map((size) => number(1, size)), number(2, type), text(8, name),
      entry('location', basename(data)), entry('offset', String(offset)), entry('length', String(length)), number(14, 1),
    );
    offset += length;
    return tensor;
  };
  const attribute = (name: string, value: number): Uint8Array => message(5, text(1, name), number(3, value), number(20, 2));
  const constant = (name: string, value: number): Uint8Array => message(5, number(1, 1), number(2, INT64), text(8, name), bytes(9, new Uint8Array(BigInt64Array.of(BigInt(value)).buffer)));
  const [nodes, tensors]: [Uint8Array[], Uint8Array[]] = [[], Object.entries({ zero: 0, one: 1, last: -1, end: 2 ** 53 }).map(([name, value]) => constant(name, value))];
  const slice = (input: string, start: string, end: string, axis: string): string => {
    nodes.push(message(1, ...[input, start, end, axis].map((one) => text(1, one)), text(2, `${input}.part`), text(4, 'Slice')));
    return `${input}.part`;
  };
  let from = 'x';
  let width = blueprint.config.hiddenSize;
  for (const { name, rows, columns } of products) {
    if (width !== columns) {
      tensors.push(constant(`${name}.columns`, columns));
      from = slice(from, 'zero', `${name}.columns`, 'one');
    }
    if (name === HEAD) from = slice(from, 'last', 'end', 'zero'); // of a prompt, the logits of the last token
    const groups = columns / GROUP;
    tensors.push(stored(`${name}.w`, UINT8, [rows, groups, (GROUP * bits) / 8], (rows * columns * bits) / 8), stored(`${name}.s`, FLOAT, [rows * groups], 4 * rows * groups));
    nodes.push(message(
      1, text(1, from), text(1, `${name}.w`), text(1, `${name}.s`), text(2, `${name}.y`), text(4, 'MatMulNBits'), text(7, 'com.microsoft'),
      attribute('K', columns), attribute('N', rows), attribute('bits', bits), attribute('block_size', GROUP), attribute('accuracy_level', 4),
    ));
    [from, width] = [`${name}.y`, rows];
  }
  const value = (field: number, name: string, rows: string, size: number): Uint8Array => {
    const shape = message(2, message(1, text(2, rows)), message(1, number(1, size)));
    return message(field, text(1, name), message(2, message(1, number(1, FLOAT), shape)));
  };
  const graph = message(7, ...nodes, text(2, 'products'), ...tensors, value(11, 'x', 'tokens', blueprint.config.hiddenSize), value(12, from, 'last', width));
  await pipeline(Readable.from(weightsOf(products, bits, pool)), createWriteStream(data));
  const opset = (domain: string, version: number): Uint8Array => message(8, text(1, domain), number(2, version));
  await writeFile(`${path}.part`, Buffer.concat([number(1, 10), graph, opset('', 21), opset('com.microsoft', 1)]));
  await rename(`${path}.part`, path);
  return path;
}

/** Codes and scales of each product; values of the products stay about as large as what goes in. */
function* weightsOf(products: readonly Product[], bits: 4 | 2, pool: Uint8Array): Generator<Uint8Array> {
  for (const { rows, columns } of products) {
    for (let left = (rows * columns * bits) / 8; left > 0; left -= pool.length) yield pool.subarray(0, Math.min(left, pool.length));
    const deviation = bits === 4 ? 4.6 : 1.1; // of codes from -8 to 7, or -2 to 1
    yield new Uint8Array(new Float32Array((rows * columns) / GROUP).fill(1 / (deviation * Math.sqrt(columns))).buffer);
  }
}
