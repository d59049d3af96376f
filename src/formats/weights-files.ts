/** The files that a folder's weights are in, the preferred first. `<file>.index.json` names the shards of one that is split. */
export const WEIGHTS_FILES = ['model.safetensors', 'pytorch_model.bin'] as const;

export function isWeightsFile(name: string): boolean {
  return (WEIGHTS_FILES as readonly string[]).includes(name.replace(/\.index\.json$/, ''));
}
