import type { ByteSource } from './bytes.js';
import { anyTypes, UNKNOWN_BYTES } from './ggml-types.js';
import { readGgufAs, type GgufFile } from './gguf-reader.js';

/**
 * As `readGguf`, with tensors of any type, which is `type 99` if it has no name. One whose size is not known takes what there is up to the
 * next tensor, or to the end of the file.
 */
export async function readGgufOfAnyType(source: ByteSource): Promise<GgufFile<string>> {
  const file = await readGgufAs(source, async (header) => anyTypes(header));
  const places = [...new Set([...file.tensors.values()].map(({ offset }) => offset))].sort((a, b) => a - b);
  const next = new Map(places.map((place, n) => [place, places[n + 1] ?? source.size]));
  const tensors = new Map([...file.tensors].map(([name, tensor]) => {
    const isUnknown = tensor.byteLength === UNKNOWN_BYTES && !tensor.shape.includes(0);
    return [name, isUnknown ? { ...tensor, byteLength: next.get(tensor.offset)! - tensor.offset } : tensor];
  }));
  return { ...file, tensors };
}
