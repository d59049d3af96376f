/** What the jobs share: files of the repository, and hashes. */

const base = new URL('../../../', import.meta.url);

/** The address of a file of the repository, on this page's server. */
export function address(path: string): string {
  return new URL(path, base).href;
}

export async function blob(path: string): Promise<Blob> {
  const response = await fetch(address(path));
  if (!response.ok) throw new Error(`${path}: ${response.status}`);
  return response.blob();
}

export async function file(path: string): Promise<File> {
  return new File([await blob(path)], path.replace(/.*\//, ''));
}

export async function sha256(data: Uint8Array | Float32Array | string): Promise<string> {
  const bytes = typeof data === 'string' ? new TextEncoder().encode(data) : Uint8Array.from(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  return Array.from(new Uint8Array(await crypto.subtle.digest('SHA-256', bytes)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** The pieces joined, and what the generator returns at the end. */
export async function collect<R>(pieces: AsyncGenerator<string, R>): Promise<{ text: string; result: R }> {
  let text = '';
  for (;;) {
    const { done, value } = await pieces.next();
    if (done) return { text, result: value };
    text += value;
  }
}
