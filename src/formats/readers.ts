import type { ByteSource } from './bytes.js';
import type { SafetensorsEntry } from './safetensors.js';
import type { StoredTensor, TensorEntry } from './stored-tensor.js';

/*
 * Readers as index.ts names them. What it named itself, and a folder's checkpoint loads later, would be in esbuild's first chunk of a
 * page that only generates.
 */

/**
 * Reads and checks the header of a safetensors file: every tensor lies inside the file, sizes agree with shapes, no overlap, no hole.
 * Tensor data is not read.
 * @throws FormatError naming file, tensor and bytes.
 */
export async function readSafetensorsHeader(source: ByteSource): Promise<Map<string, SafetensorsEntry>> {
  return (await import('./safetensors.js')).readSafetensorsHeader(source);
}

/**
 * Reads and checks the names and places of the tensors in a PyTorch checkpoint (`torch.save`, PyTorch 1.6 and later); their data
 * is not read. The pickle inside is not executed.
 * @throws FormatError naming file, tensor and byte.
 */
export async function readTorchTensors(source: ByteSource): Promise<Map<string, TensorEntry>> {
  return (await import('./torch.js')).readTorchTensors(source);
}

/**
 * Reads a tensor's elements, the last dimension fastest.
 * @throws FormatError; `where` begins the message.
 */
export async function readTensor(where: string, tensor: StoredTensor): Promise<Uint8Array> {
  return (await import('./stored-tensor.js')).readTensor(where, tensor);
}
