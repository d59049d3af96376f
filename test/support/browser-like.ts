import { vi } from 'vitest';

/** Makes this process look like an engine without files: what it has beside that is in `globals`. @returns what ends it. */
export function withoutFiles(globals: Readonly<Record<string, unknown>> = {}): () => void {
  const { getBuiltinModule } = process;
  Object.assign(process, { getBuiltinModule: undefined });
  const versions = vi.spyOn(process, 'versions', 'get').mockReturnValue({ node: '' } as never); // which Node's fetch reads
  for (const [name, value] of Object.entries(globals)) vi.stubGlobal(name, value);
  return () => {
    Object.assign(process, { getBuiltinModule });
    versions.mockRestore();
    vi.unstubAllGlobals();
  };
}
