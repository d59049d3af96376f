import { ConfigError, FormatError, show } from '../errors.js';
import { isJsonObject, type JsonObject } from '../formats/bytes.js';
import { ROTATED } from '../formats/ggml-refusals.js';
import type { GgufMetadata, GgufValue } from '../formats/gguf.js';
import { ternaryTensors, type Blueprint, type RotationSpec, type Switch } from './blueprint.js';
import type { KeyReader } from './config.js';
import type { GgufContents } from './family.js';
import { listOf } from './nested-keys.js';

/*
 * Weights in a rotated basis (bonsai.md §2.6): the keys `prism.hadamard.*` of GGUF files, or, in the safetensors that convert writes, the same in the object
 * `prism_hadamard` of config.json, with signs as a text of + and -. What is not understood is refused: a model whose activations are not brought to the basis of its weights
 * writes nonsense.
 */

const TRANSFORM = 'normalized-sylvester-walsh-hadamard';
const AXIS = 'input-last-dimension';
const KNOWN = [
  'version', 'block_size', 'transform', 'axis', 'sign_mode', 'sign_widths', 'sign_values', 'weight_names', 'inverse_weight_names', 'gdn_v_grouped', 'tied_output',
];
const EMBEDDINGS = 'token_embd.weight';
const MIN_BLOCK = 4;
const MAX_BLOCK = 65536;

export interface RotationReading {
  readonly spec: RotationSpec;
  /** Whether the columns of an out_proj, by its name in GGUF, are in the order of Hugging Face's layout there too: of one that is rotated, as no other order can be restored. */
  isGrouped(weight: string): boolean;
  readonly switches: readonly Switch[];
  readonly identity: readonly number[];
  /** @throws ConfigError where it does not fit the weights of the model. */
  check(file: string, blueprint: Blueprint): void;
}

/**
 * @param leftOut names of weights that are there, and not read: rotated or not.
 * @throws ConfigError naming the key that is not understood.
 */
export function readRotation(keys: KeyReader, gguf: GgufContents | undefined, isTied: boolean, leftOut: RegExp): RotationReading | undefined {
  const inConfig = gguf ? undefined : keys.value('prism_hadamard');
  if (!gguf && !isJsonObject(inConfig)) return keys.fail('prism_hadamard', `is ${show(inConfig)}, not an object`);
  const entries = gguf ? [...gguf.metadata].filter(([key]) => key.startsWith(ROTATED)).map(([key, { value }]) => [key.slice(ROTATED.length), value] as const)
    : Object.entries(inConfig as JsonObject);
  if (gguf && entries.length === 0) return undefined;
  const values = new Map<string, unknown>(entries);
  const fail = (key: string, complaint: string): never => {
    throw new ConfigError(`${keys.file}: ${gguf ? ROTATED : 'prism_hadamard.'}${key} ${complaint}`);
  };
  for (const key of values.keys()) if (!KNOWN.includes(key)) fail(key, `is ${show(values.get(key))}, a key that is not understood: its weights are in a rotated basis, which must be known in full`);
  const only = (key: string, ...known: readonly unknown[]): unknown => {
    const value = values.get(key);
    if (value === undefined) return fail(key, `is missing; only ${known.map(show).join(' and ')} can be run`);
    return known.includes(value) ? value : fail(key, `is ${show(value)}; only ${known.map(show).join(' and ')} can be run`);
  };
  const isShared = values.has('tied_output') && only('tied_output', true, false) === true;
  // Version 2 is version 1 with a head that is the rotated table of the embeddings (PrismML's fork of llama.cpp).
  if (values.get('version') === 2 && !(isShared && isTied)) fail('version', 'is 2, which is for a head that is the table of the embeddings (tied_output, true); here it is not');
  const version = only('version', 1, 2);
  if (isShared && (version !== 2 || !isTied)) fail('tied_output', `is true; that can be with version 2, and without an output.weight`);
  only('transform', TRANSFORM);
  only('axis', AXIS);
  const hasGroupedOutput = values.has('gdn_v_grouped') && only('gdn_v_grouped', true, false) === true;
  const block = values.get('block_size');
  if (typeof block !== 'number' || !Number.isInteger(Math.log2(block)) || block < MIN_BLOCK || block > MAX_BLOCK) {
    return fail('block_size', block === undefined ? 'is missing' : `is ${show(block)}, not a power of two from ${MIN_BLOCK} to ${MAX_BLOCK}`);
  }
  const names = (key: string): Set<string> => {
    const list = listOf(values.get(key) ?? []);
    return list?.every((name) => typeof name === 'string') ? new Set(list as string[]) : fail(key, 'is not a list of names');
  };
  const [weights, inverse] = [names('weight_names'), names('inverse_weight_names')];
  for (const name of weights) if (leftOut.test(name)) weights.delete(name);
  if (weights.size === 0) fail('weight_names', 'is missing, or names no weight');
  for (const name of inverse) if (name !== EMBEDDINGS) fail('inverse_weight_names', `has ${show(name)}; only "${EMBEDDINGS}" can be brought back`);
  if (weights.has(EMBEDDINGS) || (isTied && weights.has('output.weight'))) fail('weight_names', `has the table of the embeddings, which inverse_weight_names is for`);
  const hasEmbeddings = inverse.has(EMBEDDINGS);
  if (isShared && !hasEmbeddings) fail('tied_output', `is true, but inverse_weight_names does not have "${EMBEDDINGS}"`);
  if (isTied && hasEmbeddings) weights.add(EMBEDDINGS);
  const signs = only('sign_mode', 'explicit', 'identity') === 'explicit' ? readSigns(values, fail) : undefined;
  if (!signs) for (const key of ['sign_widths', 'sign_values']) if ((listOf(values.get(key)) ?? []).length > 0) fail(key, 'is there, but sign_mode is "identity"');
  return {
    spec: { block, signs, weights, hasEmbeddings },
    isGrouped: (weight) => weights.has(weight) && (hasGroupedOutput || !gguf),
    switches: [{ name: 'rotation', value: `${weights.size} weights in a rotated basis, blocks of ${block}${signs ? ', with signs' : ''}`, why: gguf ? `${ROTATED}*` : 'prism_hadamard' }],
    identity: [block, weights.size, Number(hasEmbeddings), ...[...signs ?? []].flatMap(([width, values]) => [width, ...packed(values)])],
    check(file, blueprint) {
      const tensors = new Map(ternaryTensors(blueprint).map((tensor) => [tensor.gguf, tensor]));
      const widthOf = (name: string): number | undefined => tensors.get(name)?.shape[1];
      for (const name of weights) {
        const width = widthOf(name);
        if (width === undefined) return fail('weight_names', `has ${show(name)}, which is no ternary weight of this model`);
        if (width % block !== 0) fail('block_size', `is ${block}, which does not divide the ${width} columns of "${name}"`);
        if (signs && !signs.has(width)) fail('sign_widths', `has no ${width}, the columns of "${name}"`);
        // Columns that were put in another order before they were rotated cannot be put back (PrismML's runtimes: "ungrouped folded GDN output").
        if (tensors.get(name)!.ggufColumnTiles) fail('gdn_v_grouped', `is ${show(values.get('gdn_v_grouped') ?? false)}, but "${name}" is rotated; only true can be run, columns in the order of the model's heads`);
      }
      const width = blueprint.config.hiddenSize;
      if (hasEmbeddings && width % block !== 0) fail('block_size', `is ${block}, which does not divide the ${width} columns of "${EMBEDDINGS}"`);
      if (hasEmbeddings && signs && !signs.has(width)) fail('sign_widths', `has no ${width}, the columns of "${EMBEDDINGS}"`);
      for (const [own] of signs ?? []) {
        if (!(hasEmbeddings && own === width) && ![...weights].some((name) => widthOf(name) === own)) throw new FormatError(`${file}: ${ROTATED}sign_widths has ${own}, which no rotated weight is wide; is the file damaged?`);
      }
    },
  };
}

function readSigns(values: ReadonlyMap<string, unknown>, fail: (key: string, complaint: string) => never): Map<number, Int8Array> {
  const widths = listOf(values.get('sign_widths'));
  if (!widths || widths.length === 0) return fail('sign_widths', 'is missing; with sign_mode "explicit" it must tell how many signs there are for each width');
  const stored = values.get('sign_values');
  const all = typeof stored === 'string' ? Array.from(stored, (sign) => (sign === '+' ? 1 : sign === '-' ? -1 : 0)) : listOf(stored);
  if (!all) return fail('sign_values', 'is missing');
  const signs = new Map<number, Int8Array>();
  let at = 0;
  for (const width of widths) {
    if (typeof width !== 'number' || !Number.isInteger(width) || width < 1 || width > MAX_BLOCK || signs.has(width)) return fail('sign_widths', `has ${show(width)}, not a width, or one that is there twice`);
    signs.set(width, Int8Array.from(all.slice(at, at + width) as number[]));
    at += width;
  }
  if (at !== all.length) fail('sign_values', `has ${all.length} signs; sign_widths (${widths.join(', ')}) ask for ${at}`);
  const wrong = all.findIndex((sign) => sign !== 1 && sign !== -1);
  if (wrong >= 0) fail('sign_values', `has ${typeof stored === 'string' ? show(stored[wrong]) : show(all[wrong])} at ${wrong}; a sign is 1 or -1`);
  return signs;
}

/** Signs as bits of whole numbers. */
function packed(signs: Int8Array): number[] {
  const words = new Array<number>(Math.ceil(signs.length / 32)).fill(0);
  signs.forEach((sign, n) => { if (sign < 0) words[n >> 5]! |= 1 << (n & 31); });
  return words;
}

/** The keys that give it again, without their prefix: in GGUF. */
export function rotationMetadata(blueprint: Blueprint): GgufMetadata {
  const { block, signs, weights, hasEmbeddings } = blueprint.rotation!;
  const isShared = weights.has(EMBEDDINGS);
  const array = (of: 'string' | 'i32' | 'i8', value: readonly (string | number)[]): GgufValue => ({ type: 'array', of, value });
  const entries: [string, GgufValue][] = [
    ['version', { type: 'u32', value: isShared ? 2 : 1 }], ['block_size', { type: 'u32', value: block }], ['transform', { type: 'string', value: TRANSFORM }],
    ['axis', { type: 'string', value: AXIS }], ['sign_mode', { type: 'string', value: signs ? 'explicit' : 'identity' }],
    ...(signs ? [
      ['sign_widths', array('i32', [...signs.keys()])] as [string, GgufValue],
      ['sign_values', array('i8', [...signs.values()].flatMap((values) => [...values]))] as [string, GgufValue],
    ] : []),
    ['weight_names', array('string', [...weights].filter((name) => name !== EMBEDDINGS))],
    ...(hasEmbeddings ? [['inverse_weight_names', array('string', [EMBEDDINGS])] as [string, GgufValue]] : []),
    ...(isShared ? [['tied_output', { type: 'bool', value: true }] as [string, GgufValue]] : []),
    ...([...weights].some((name) => name.endsWith('.ssm_out.weight')) ? [['gdn_v_grouped', { type: 'bool', value: true }] as [string, GgufValue]] : []),
  ];
  return new Map(entries.map(([key, value]) => [`${ROTATED}${key}`, value]));
}

/** The same in config.json. */
export function rotationKeys(blueprint: Blueprint): JsonObject {
  return Object.fromEntries([...rotationMetadata(blueprint)].map(([key, { value }]) => {
    const name = key.slice(ROTATED.length);
    return [name, name === 'sign_values' ? (value as number[]).map((sign) => (sign < 0 ? '-' : '+')).join('') : value];
  }));
}
