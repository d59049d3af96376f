import { FormatError, show } from '../errors.js';
import type { GgufHeader } from './gguf.js';
import { TWO_BIT } from './two-bit-layout.js';

/*
 * What is said of GGUF files whose weights are of no type that is read, or mean something else than their type says (bonsai.md §2,
 * ternary-transformers.md §4.5).
 */

/** What keys begin with that tell of a rotated basis. */
export const ROTATED = 'prism.hadamard.';
/** The architecture whose weights may be in one. */
const READ_ROTATED = 'qwen35';
const BONSAI = 'take Ternary-Bonsai (without 2), in Q2_0 or PQ2_0';

/** @throws FormatError for a file whose weights belong to rotated activations, of an architecture that has none here. */
export function refuseRotated(file: string, metadata: ReadonlyMap<string, { readonly value: unknown }>): void {
  const key = [...metadata.keys()].find((name) => name.startsWith(ROTATED));
  const architecture = metadata.get('general.architecture')?.value;
  if (key === undefined || architecture === READ_ROTATED) return;
  throw new FormatError(`${file}: has weights in a rotated basis (${key}), which can be run in a "${READ_ROTATED}" model (Bonsai 2), but not in one of ${show(architecture)}; ${BONSAI}`);
}

/** @throws FormatError for a file that says of itself that its weights are coded otherwise. */
export function refuseMarks({ source, metadata, infos }: GgufHeader): void {
  refuseRotated(source.name, metadata);
  if (!infos.some(({ id }) => id === TWO_BIT)) return;
  // OxiBonsai has the scale behind the codes.
  const version = metadata.get('general.quantization_version')?.value;
  const key = typeof version === 'string' ? 'general.quantization_version' : metadata.has('oxibonsai.quant_format') ? 'oxibonsai.quant_format' : undefined;
  if (key === undefined) return;
  throw new FormatError(`${source.name}: ${key} is ${show(metadata.get(key)!.value)}: weights as OxiBonsai packs them under the number of Q2_0, which are not read; ${BONSAI}, as PrismML has published it`);
}

/** Whether bitnet.cpp made a file: by the architecture's name, or the scales that its tables have. */
export function isBitnetCpp({ metadata, infos }: GgufHeader): boolean {
  return /^bitnet/.test(String(metadata.get('general.architecture')?.value)) || infos.some(({ name }) => name.endsWith('.weight_scale'));
}

/** Why a type is not read, and what to use instead, behind "has the ggml type". */
export function whyNotRead(id: number, name: string, readTypes: readonly string[]): string {
  if (name === 'TL1' || name === 'TL2') return `${name}, of bitnet.cpp, made for one machine; convert the original, or take the file in I2_S`;
  if (id === 40) return `${name}, or an early Q1_0 of PrismML's in groups of 32; neither is read; take Q1_0 in groups of 128 (type 41)`;
  return `${name}, which is not read; write the file with types out of ${readTypes.join(', ')}`;
}
