import { setFlagsFromString } from 'node:v8';
import { MatMulFreeLM, type LoadOptions } from '../index.js';
import { numberOption, UsageError } from './arguments.js';
import type { Io } from './io.js';
import { ProgressLine } from './terminal.js';

/** The model that comes with the package; the path is the same from `src/cli` and from `dist/cli`. */
export const EMBEDDED_MODEL = new URL('../../examples/models/tinystories-9m.gguf', import.meta.url);

export interface ModelFlags {
  readonly model?: string | Uint8Array | undefined;
  readonly backend?: string | undefined;
  readonly threads?: string | undefined;
  readonly 'context-tokens'?: string | undefined;
  readonly 'i2s-layout'?: string | undefined;
  readonly quiet?: boolean | undefined;
}

export const MODEL_OPTIONS = {
  model: { type: 'string' },
  backend: { type: 'string' },
  threads: { type: 'string' },
  'context-tokens': { type: 'string' },
  'i2s-layout': { type: 'string' },
  quiet: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
} as const;

/** Loads the model that the flags name, or the embedded one, with progress on a terminal. `options` are others that `load` takes. */
export async function loadFromFlags(flags: ModelFlags, io: Io, options: Pick<LoadOptions, 'chatTemplate'> = {}): Promise<MatMulFreeLM> {
  const progress = new ProgressLine(flags.quiet === true, io.stderr);
  // An unknown backend is `load`'s to refuse.
  const backend = flags.backend as 'auto' | undefined;
  const i2sLayout = layoutOption(flags['i2s-layout']);
  const contextTokens = numberOption('context-tokens', flags['context-tokens']);
  const threads = flags.threads === 'auto' ? 'auto' : numberOption('threads', flags.threads);
  // Node 20 has relaxed SIMD behind a flag; a program may turn it on, a library may not.
  if (process.versions.node.startsWith('20.')) setFlagsFromString('--experimental-wasm-relaxed-simd');
  try {
    return await MatMulFreeLM.load(flags.model ?? EMBEDDED_MODEL, { ...options, backend, threads, contextTokens, i2sLayout, signal: io.signal, onProgress: progress.listener });
  } finally {
    progress.clear();
  }
}

/** @throws UsageError */
export function layoutOption(value: string | undefined): 'A' | 'B' | undefined {
  if (value === undefined || value === 'A' || value === 'B') return value;
  throw new UsageError(`--i2s-layout takes A or B, not "${value}"`);
}
