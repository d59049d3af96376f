import { createModule, type Func, type ModuleBuilder, type Parameters } from '../../wasm/module.js';
import { emitTernaryTile, emitTileFunctions, TILE_PARAMETERS, type TileFunctions } from './batch.js';
import { ELEMENTWISE_PARAMETERS, emitElementwise } from './elementwise.js';
import { emitJobs, type SharedKernel } from './jobs.js';
import { emitBuildTables, emitTernaryRows, ROWS_PARAMETERS } from './lookup.js';
import { emitPackBlocks, PACK_PARAMETERS } from './pack.js';
import type { TileShape } from './tile.js';

export interface EmitOptions {
  /** Use relaxed SIMD's swizzle, which takes half the instructions on x86. */
  readonly relaxed: boolean;
  /** Shared memory, and the functions for other threads. */
  readonly threads: boolean;
  /** Adds further kernels, whose numbers follow. */
  readonly more?: ((module: ModuleBuilder, products: ProductParts) => readonly SharedKernel[]) | undefined;
}

/** What ternary products are made of. */
export interface ProductParts {
  readonly relaxed: boolean;
  /** Tables for one token. */
  readonly buildTables: Func;
  readonly tiles: readonly TileFunctions[];
}

/** Token tiles, widest last. */
export const TILES: readonly TileShape[] = [{ tokens: 8, quads: 16 }, { tokens: 16, quads: 16 }];

export type KernelName = 'packBlocks' | 'ternaryRows' | `ternaryTile${TileShape['tokens']}` | keyof typeof ELEMENTWISE_PARAMETERS;

/** Names of the kernels in the order of their numbers, and their parameters. */
export const SHARED_KERNELS: readonly (readonly [KernelName, Parameters])[] = [
  ['ternaryRows', ROWS_PARAMETERS],
  ...TILES.map(({ tokens }) => [`ternaryTile${tokens}`, TILE_PARAMETERS] as const),
  ...Object.entries(ELEMENTWISE_PARAMETERS) as [keyof typeof ELEMENTWISE_PARAMETERS, Parameters][],
  ['packBlocks', PACK_PARAMETERS],
];

/** The WebAssembly module of all kernels. It imports its memory as `env.memory`. */
export function emitKernels({ relaxed, threads, more }: EmitOptions): Uint8Array<ArrayBuffer> {
  const module = createModule({ sharedMemory: threads });
  const buildTables = emitBuildTables(module);
  const tiles = TILES.map((tile) => emitTileFunctions(module, tile));
  const functions = [
    emitTernaryRows(module, buildTables, relaxed),
    ...tiles.map((functions) => emitTernaryTile(module, functions)),
    ...Object.values(emitElementwise(module)),
    emitPackBlocks(module),
  ];
  const kernels = SHARED_KERNELS.map(([, parameters], n): SharedKernel => ({ func: functions[n]!, parameters }));
  emitJobs(module, [...kernels, ...(more?.(module, { relaxed, buildTables, tiles }) ?? [])], threads);
  return module.encode();
}
