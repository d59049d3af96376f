import { show } from '../errors.js';
import type { JsonObject } from '../formats/bytes.js';
import { DROP_KEYS, ggufScaleName, hfScaleName, parameters, type Blueprint, type Dropped } from './blueprint.js';
import type { KeyReader } from './config.js';
import type { MetadataKey } from './family.js';
import { listOf } from './nested-keys.js';

/*
 * Models with mixers left out (He et al., 2024, arXiv 2406.15786; ternary-transformers.md §7): lists in config.json, of layers or with a boolean
 * for each. Numbers of layers and names of tensors stay, and what is left out is often still in the files. GGUF metadata have the same lists, of
 * layers, behind the architecture's name.
 */

export const DROP_METADATA: readonly MetadataKey[] = DROP_KEYS.map((key) => ({ json: key, gguf: key, type: 'u32 list' }));

/** @throws ConfigError for a list that says nothing, or names a layer that is not there. */
export function withoutDropped(keys: KeyReader, blueprint: Blueprint): Blueprint {
  const [tokenMixers = [], channelMixers = []] = DROP_KEYS.map((key) => readLayers(keys, key, blueprint.blocks.length));
  return leaveOut(blueprint, { tokenMixers, channelMixers });
}

/** Layers that a key lists; none without it. @throws ConfigError for what is no such list. */
export function readLayers(keys: KeyReader, key: string, layers: number): number[] {
  const value = keys.value(key) ?? [];
  const items = listOf(value);
  if (items) {
    if (items.every((item) => typeof item === 'number' && Number.isInteger(item) && item >= 0 && item < layers)) return items as number[];
    if (items.length === layers && items.every((item) => typeof item === 'boolean')) return items.flatMap((isDropped, n) => (isDropped ? [n] : []));
  }
  return keys.fail(key, `is ${show(value)}, not a list of layers from 0 to ${layers - 1}, or of ${layers} booleans`);
}

/** A model without these mixers, and without those that it has lost before. Nothing is kept, and no time is spent, in place of them. */
export function leaveOut(blueprint: Blueprint, more: Dropped): Blueprint {
  const full = blueprint.full ?? blueprint;
  const union = (kind: keyof Dropped): number[] => [...new Set([...(blueprint.dropped?.[kind] ?? []), ...more[kind]])].sort((a, b) => a - b);
  const dropped: Dropped = { tokenMixers: union('tokenMixers'), channelMixers: union('channelMixers') };
  const { tokenMixers, channelMixers } = dropped;
  if (tokenMixers.length + channelMixers.length === 0) return blueprint;
  const blocks = full.blocks.map((block, n) => ({
    ...block,
    ...(tokenMixers.includes(n) && { tokenNorm: undefined, tokenMixer: undefined }),
    ...(channelMixers.includes(n) && { channelNorm: undefined, channelMixer: undefined }),
  }));
  const pruned: Blueprint = {
    ...full, full, dropped, blocks,
    identity: [...full.identity, tokenMixers.length, ...tokenMixers, ...channelMixers],
    // Only attention knows of positions.
    maxPositions: blocks.some(({ tokenMixer }) => tokenMixer?.kind === 'attention') ? full.maxPositions : Infinity,
    switches: [...full.switches, { name: 'left out', value: describe(dropped), why: DROP_KEYS.join(', ') }],
  };
  const kept = new Set(parameters(pruned).map(({ tensor }) => tensor));
  const gone = parameters(full).map(({ tensor }) => tensor).filter((tensor) => !kept.has(tensor));
  return { ...pruned, ignored: [...(full.ignored ?? []), ...gone.flatMap((tensor) => [tensor.hf, hfScaleName(tensor), tensor.gguf, ggufScaleName(tensor)])] };
}

/** "token mixers of layers 2, 5; channel mixers of layer 1" */
function describe({ tokenMixers, channelMixers }: Dropped): string {
  const of = (what: string, layers: readonly number[]): string[] =>
    layers.length === 0 ? [] : [`${what}${layers.length === 1 ? '' : 's'} of layer${layers.length === 1 ? '' : 's'} ${layers.join(', ')}`];
  return [...of('token mixer', tokenMixers), ...of('channel mixer', channelMixers)].join('; ');
}

/** The keys that say again what is left out; none for a whole model. */
export function droppedKeys({ dropped }: Blueprint): JsonObject {
  if (!dropped) return {};
  const [token, channel] = DROP_KEYS;
  return { [token]: dropped.tokenMixers, [channel]: dropped.channelMixers };
}
