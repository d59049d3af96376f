import { FormatError } from '../errors.js';

/** How the small text begins that Git LFS leaves in place of a large file until that is fetched (git-lfs, docs/spec.md). */
const POINTER = 'version https://git-lfs.github.com/spec/v1';
/** The specification's limit. */
const MAX_POINTER_BYTES = 1024;

/** @throws FormatError when `text` is not what the file `name` should hold but a pointer to it. */
export function refuseLfsText(name: string, text: string): void {
  if (!text.startsWith(POINTER)) return;
  throw new FormatError(`${name}: is a Git LFS pointer, not the file itself; fetch that with "git lfs pull" in its folder, or download the file`);
}

/** As `refuseLfsText`, for a file of any kind. @param source a ByteSource. */
export async function refuseLfsPointer(
  source: { readonly name: string; readonly size: number; read(offset: number, length: number): Promise<Uint8Array> },
): Promise<void> {
  if (source.size < POINTER.length || source.size > MAX_POINTER_BYTES) return;
  refuseLfsText(source.name, String.fromCharCode(...(await source.read(0, POINTER.length))));
}
