import { FormatError } from '../errors.js';
import { DTYPE_BYTES, type TensorToWrite } from './stored-tensor.js';

const ALIGNMENT = 8;

/**
 * Yields the bytes of a safetensors file in order: header, then each tensor. The same input gives the same bytes. Tensors whose size
 * would push those behind them off their alignment come last: some readers map the file and need it.
 * @param metadata what stands under `__metadata__`.
 * @throws FormatError when a tensor's data is not as long as its type and shape say.
 */
export async function* writeSafetensors(
  tensors: readonly TensorToWrite<string>[], metadata: { readonly [key: string]: string },
): AsyncGenerator<Uint8Array, void, undefined> {
  const header: [string, unknown][] = [['__metadata__', metadata]];
  const ordered = [...tensors].sort((a, b) => unevenness(a) - unevenness(b)); // a stable sort
  let end = 0;
  for (const tensor of ordered) {
    const begin = end;
    end += bytesOf(tensor);
    header.push([tensor.name, { dtype: tensor.type, shape: tensor.shape, data_offsets: [begin, end] }]);
  }
  const text = new TextEncoder().encode(JSON.stringify(Object.fromEntries(header)));
  const length = Math.ceil(text.length / ALIGNMENT) * ALIGNMENT;
  const head = new Uint8Array(8 + length).fill(0x20, 8 + text.length);
  new DataView(head.buffer).setBigUint64(0, BigInt(length), true);
  head.set(text, 8);
  yield head;
  for (const tensor of ordered) {
    const data = await tensor.bytes();
    const expected = bytesOf(tensor);
    if (data.length !== expected) throw new FormatError(`safetensors: tensor "${tensor.name}" has ${data.length} bytes, not ${expected}`);
    yield data;
  }
}

/** 0 for a size that keeps all alignments (of 8, 4, 2), up to 3 for one that keeps none. */
function unevenness(tensor: TensorToWrite<string>): number {
  const bytes = bytesOf(tensor);
  return [8, 4, 2, 1].findIndex((unit) => bytes % unit === 0);
}

function bytesOf({ name, type, shape }: TensorToWrite<string>): number {
  const itemBytes = DTYPE_BYTES.get(type);
  if (itemBytes === undefined) throw new FormatError(`safetensors: tensor "${name}" has the type ${type}, which the format does not know`);
  return shape.reduce((product, n) => product * n, itemBytes);
}
