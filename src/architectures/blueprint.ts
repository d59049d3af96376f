import { BIT_LINEAR_EPS } from '../layers/bit-linear.js';
import type { Activation, KernelSet } from '../kernels/kernels.js';
import type { AttentionParts } from '../layers/attention.js';
import type { GatedDeltaNetParts, GatedDeltaNetShape } from '../layers/gated-delta-net.js';
import type { GLUParts } from '../layers/glu.js';
import type { GroupedActivations } from '../layers/grouped-linear.js';
import type { Linear } from '../layers/mixers.js';
import type { MLGRUParts } from '../layers/mlgru.js';
import type { RMSNorm } from '../layers/rms-norm.js';
import type { RopeSpec } from '../layers/rope.js';
import type { ModelConfig } from './config.js';

/*
 * A blueprint describes a model: its blocks in order, what each computes, and for each parameter its name in every file format and its
 * shape. Files are checked, memory is taken, weights are read, layers are built, counted and converted by it. It is plain data.
 */

/** A tensor of a checkpoint. `hf` is its name in safetensors and PyTorch files, `gguf` in GGUF files. */
export interface TensorSpec {
  readonly hf: string;
  readonly gguf: string;
  /** Outermost dimension first. */
  readonly shape: readonly number[];
  /**
   * Rows of a head, where GGUF files have them in pairs: first, middle, second, middle + 1, … (llama.cpp's rotary embedding turns neighbours).
   */
  readonly ggufPairs?: number | undefined;
  /** Rows, and columns, that are value heads, and which GGUF files have in another order. */
  readonly ggufTiles?: TiledHeads | undefined;
  readonly ggufColumnTiles?: TiledHeads | undefined;
  /** What safetensors and PyTorch files have of a float x: x - 1, or ln(-x). */
  readonly hfFloats?: 'less one' | 'log' | undefined;
  /** Whether it is ternary with a scale for each row and group of columns; how wide groups are stands in the file. */
  readonly isGrouped?: boolean | undefined;
}

/**
 * Heads of `width` rows, or columns, from `first` on, `perKey` for each of `keys` key heads. In the model those of a key head are together;
 * in GGUF files the first of each come first, then the second of each (llama.cpp's "tiled" order).
 */
export interface TiledHeads {
  readonly first: number;
  readonly width: number;
  readonly keys: number;
  readonly perKey: number;
}

export interface NormSpec {
  readonly weight: TensorSpec; // [width]
  readonly eps: number;
}

export interface BitLinearSpec {
  readonly weight: TensorSpec; // [out, in], ternary
  readonly norm?: NormSpec | undefined; // [in]
}

/** Numbers that a layer takes as they are, in float32: no norm. */
export interface FloatsSpec {
  readonly weight: TensorSpec;
  readonly eps: undefined;
}

/** A float product: its table may be that of the embeddings. */
export interface FloatHeadSpec {
  readonly table: TensorSpec; // [vocab, hidden]
}

/** What a layer is built of, under the names of the layer's own parts; in the order in which files have them. */
export type PartSpecs<Parts> = { readonly [Name in keyof Parts]: PartSpec<NonNullable<Parts[Name]>> | Extract<Parts[Name], undefined> };
type PartSpec<Part> = Part extends Linear ? BitLinearSpec : Part extends RMSNorm ? NormSpec : Part extends Float32Array ? FloatsSpec : never;
export type AnyPartSpec = NormSpec | BitLinearSpec | FloatsSpec;

export interface MLGRUSpec {
  readonly kind: 'mlgru';
  readonly parts: PartSpecs<Omit<MLGRUParts, 'lowerBound'>>;
  /** Its lower bound is this row of what the model's `lowerBounds` give; undefined for none. */
  readonly boundsRow: number | undefined;
  /** Floats that it keeps of a text. */
  readonly stateSize: number;
}

export interface GatedDeltaNetSpec extends GatedDeltaNetShape {
  readonly kind: 'gated-delta-net';
  readonly parts: PartSpecs<GatedDeltaNetParts>;
  readonly stateSize: number;
}

/** What its attention layers have in common, also of a model that happens to have none. */
export interface AttentionShape {
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly rope: RopeSpec;
}

export interface AttentionSpec extends Omit<AttentionShape, 'heads'> {
  readonly kind: 'attention';
  readonly parts: PartSpecs<AttentionParts>;
  /** Tokens that one sees, itself included; Infinity for all. */
  readonly window: number;
}

export interface GLUSpec {
  readonly kind: 'glu';
  readonly parts: PartSpecs<GLUParts>;
  readonly activation: Activation;
}

/** A mixer may be left out, and its norm with it: then the residual passes by (dropped.ts). */
export interface BlockSpec {
  readonly tokenNorm?: NormSpec | undefined;
  readonly tokenMixer?: MLGRUSpec | AttentionSpec | GatedDeltaNetSpec | undefined;
  readonly channelNorm?: NormSpec | undefined;
  readonly channelMixer?: GLUSpec | undefined;
}

/** The basis in which weights are stored, if it is another: what they are multiplied with is brought to it (bonsai.md §2.6). */
export interface RotationSpec {
  /** Columns that are mixed by one Walsh-Hadamard matrix. */
  readonly block: number;
  /** ±1 for each column of the widths that are rotated; undefined where all are 1. */
  readonly signs: ReadonlyMap<number, Int8Array> | undefined;
  /** Names in GGUF of the weights that are stored so. */
  readonly weights: ReadonlySet<string>;
  /** Whether the rows of the embeddings are, and are brought back when they are looked up. */
  readonly hasEmbeddings: boolean;
}

export interface Blueprint {
  /** The family's name: `general.architecture` in GGUF files. */
  readonly architecture: string;
  readonly config: ModelConfig;
  readonly embeddings: TensorSpec; // [vocab, hidden], a table of floats, or ternary in groups
  /** [layers, width] of which the forget gates' lower bounds are made. */
  readonly lowerBounds: TensorSpec | undefined;
  readonly blocks: readonly BlockSpec[];
  readonly norm: NormSpec;
  readonly head: BitLinearSpec | FloatHeadSpec;
  /**
   * Whether the scale of a weight that is stored as floats, and quantised when it is read, is rounded to the type they are stored in
   * (ternary-transformers.md §2.2); else it is float32.
   */
  readonly roundsScales: boolean;
  /** How activations are rounded for weights whose scales are for groups of columns. Default: int8. */
  readonly activations?: GroupedActivations | undefined;
  readonly rotation?: RotationSpec | undefined;
  /** Of a decoder's layers, for its keys. */
  readonly attention?: AttentionShape | undefined;
  readonly deltaNet?: GatedDeltaNetShape | undefined;
  /** Kernels that it needs: those of Transformers (true) for attention, BitLinears without a norm of their own, weights in groups, a float head. */
  readonly transformer: KernelSet;
  /** Whether floats of a ternary weight must be ternary already: they are no masters, to be quantised. */
  readonly refusesFloats?: boolean;
  /** Names of tensors that may be there, and that nothing reads; `switches` says why. */
  readonly ignored?: readonly string[];
  /** The same for all names that it finds. */
  readonly leftOut?: RegExp | undefined;
  /** Of a model with mixers left out: what it would be with all of them, and which are left out. */
  readonly full?: Blueprint;
  readonly dropped?: Dropped;
  /** Longer texts are refused; Infinity for a model that has no such limit. */
  readonly maxPositions: number;
  /** What was decided in reading the configuration, and by what: for people. */
  readonly switches: readonly Switch[];
  /** Whole numbers that tell it from other models of its family, for the fingerprint. */
  readonly identity: readonly number[];
}

/** Layers without their token mixer, and layers without their channel mixer, ascending. */
export interface Dropped {
  readonly tokenMixers: readonly number[];
  readonly channelMixers: readonly number[];
}

/** Keys of config.json, of every family, that say so. */
export const DROP_KEYS = ['drop_attn_list', 'drop_mlp_list'] as const;

export interface Switch {
  readonly name: string;
  readonly value: string;
  /** The key, or the tensors, that say so. */
  readonly why: string;
}

/** The parts of a block in file order. */
export function blockParts({ tokenNorm, tokenMixer, channelNorm, channelMixer }: BlockSpec): readonly AnyPartSpec[] {
  const parts: (AnyPartSpec | undefined)[] = [tokenNorm, ...Object.values(tokenMixer?.parts ?? {}), channelNorm, ...Object.values(channelMixer?.parts ?? {})];
  return parts.filter((part) => part !== undefined);
}

export function isBitLinear(part: AnyPartSpec | FloatHeadSpec): part is BitLinearSpec {
  return 'weight' in part && !('eps' in part);
}

/** A tensor, and how it is held in memory: as it is stored, as float32, as trits with their scales, or as what is made of it. */
export interface Parameter {
  readonly tensor: TensorSpec;
  readonly held: 'table' | 'vector' | 'ternary' | 'bounds';
}

/** All tensors of a model, each once, in file order. */
export function parameters(blueprint: Blueprint): readonly Parameter[] {
  const { embeddings, lowerBounds, blocks, norm, head } = blueprint;
  const all: Parameter[] = [{ tensor: embeddings, held: embeddings.isGrouped ? 'ternary' : 'table' }];
  if (lowerBounds) all.push({ tensor: lowerBounds, held: 'bounds' });
  for (const part of [...blocks.flatMap(blockParts), norm, head]) {
    if ('table' in part) {
      if (part.table !== embeddings) all.push({ tensor: part.table, held: 'table' });
      continue;
    }
    if (!isBitLinear(part)) all.push({ tensor: part.weight, held: 'vector' });
    else {
      if (part.norm) all.push({ tensor: part.norm.weight, held: 'vector' });
      if (part.weight !== embeddings) all.push({ tensor: part.weight, held: 'ternary' });
    }
  }
  return all;
}

/** All ternary weights. */
export function ternaryTensors(blueprint: Blueprint): TensorSpec[] {
  return parameters(blueprint).filter(({ held }) => held === 'ternary').map(({ tensor }) => tensor);
}

/** The scale of a ternary weight, in GGUF files. */
export function ggufScaleName(weight: TensorSpec): string {
  return weight.gguf.replace(/\.weight$/, '.scale');
}

/** In safetensors and PyTorch checkpoints whose ternary weights are packed. */
export function hfScaleName(weight: TensorSpec): string {
  return `${weight.hf}_scale`;
}

/** The BitLinear of MatMul-free LMs, with a norm of its own. */
export function normedBitLinear(hf: string, gguf: string, out: number, input: number): BitLinearSpec {
  return {
    weight: { hf: `${hf}.weight`, gguf: `${gguf}.weight`, shape: [out, input] },
    norm: { weight: { hf: `${hf}.norm.weight`, gguf: `${gguf}.norm.weight`, shape: [input] }, eps: BIT_LINEAR_EPS },
  };
}
