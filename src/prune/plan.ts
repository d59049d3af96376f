import { ArgumentError, show } from '../errors.js';
import type { Blueprint, BlockSpec, Dropped } from '../architectures/blueprint.js';
import { givenOptions } from '../options.js';
import type { LayerSimilarities, LayerSimilarity } from './similarity.js';

/** Layers, from 0, that lose their token mixer, their channel mixer, or both. */
export interface PrunePlan {
  readonly tokenMixers?: readonly number[] | undefined;
  readonly channelMixers?: readonly number[] | undefined;
  readonly blocks?: readonly number[] | undefined;
}

/** What is left out: `mixers` takes token mixers and channel mixers together, whichever change least. */
export type PruneKind = 'tokenMixers' | 'channelMixers' | 'blocks' | 'mixers';

const COLUMNS: Readonly<Record<PruneKind, readonly (keyof PrunePlan)[]>> = {
  tokenMixers: ['tokenMixers'], channelMixers: ['channelMixers'], blocks: ['blocks'], mixers: ['tokenMixers', 'channelMixers'],
};

const SIMILARITIES: Readonly<Record<keyof PrunePlan, (layer: LayerSimilarity) => number | undefined>> = {
  tokenMixers: ({ tokenMixer }) => tokenMixer, channelMixers: ({ channelMixer }) => channelMixer, blocks: ({ block }) => block,
};

/**
 * The plan that leaves out the `count` mixers, or blocks, whose output is most similar to their input (He et al., 2024): one shot, by what was
 * measured on the model as it is.
 * @throws ArgumentError when there are not so many.
 */
export function planPruning(measured: LayerSimilarities, count: number, of: PruneKind): PrunePlan {
  if (!Object.hasOwn(COLUMNS, of)) throw new ArgumentError(`planPruning: ${show(of)} is not one of ${Object.keys(COLUMNS).join(', ')}`);
  if (!Array.isArray(measured?.layers)) throw new ArgumentError(`planPruning: got ${show(measured)} in place of what measureLayers gave`);
  const candidates = COLUMNS[of].flatMap((part) => measured.layers.flatMap((layer) => {
    const similarity = SIMILARITIES[part](layer);
    return similarity === undefined ? [] : [{ part, layer: layer.layer, similarity }];
  }));
  if (!(Number.isInteger(count) && count >= 0 && count <= candidates.length)) {
    throw new ArgumentError(`planPruning: ${show(count)} is not a number from 0 to ${candidates.length}: so many ${of} there are`);
  }
  const chosen = candidates.sort((a, b) => b.similarity - a.similarity).slice(0, count);
  return Object.fromEntries(COLUMNS[of].map((part) => [part, chosen.filter((one) => one.part === part).map(({ layer }) => layer)]));
}

/** What a plan leaves out of a model. @param what the caller's function. @throws ArgumentError for a layer that is not there, or has lost it before; for a plan of nothing. */
export function droppedBy(what: string, { blocks: layers }: Blueprint, plan: PrunePlan): Dropped {
  const { tokenMixers = [], channelMixers = [], blocks = [] } = plan;
  const still = (part: keyof BlockSpec, name: string, list: readonly number[]): readonly number[] => {
    const gone = list.find((n) => !layers[n]?.[part]);
    if (gone === undefined) return list;
    throw new ArgumentError(`${what}: the plan has ${name} ${show(gone)}; ${layers[gone] ? 'that one is left out already' : `there are layers from 0 to ${layers.length - 1}`}`);
  };
  const has = (part: keyof BlockSpec): number[] => blocks.filter((n) => layers[n]?.[part]);
  still('tokenMixer', 'block', blocks.filter((n) => !has('channelMixer').includes(n)));
  return {
    tokenMixers: [...still('tokenMixer', 'token mixer', tokenMixers), ...has('tokenMixer')],
    channelMixers: [...still('channelMixer', 'channel mixer', channelMixers), ...has('channelMixer')],
  };
}

/** @throws ArgumentError unless it is a plan that leaves something out. */
export function checkPlan(what: string, plan: PrunePlan): PrunePlan {
  const given = givenOptions(`${what}: the plan`, plan, Object.keys(SIMILARITIES));
  for (const [name, list] of Object.entries(given) as [string, unknown][]) {
    if (!Array.isArray(list) || !list.every(Number.isInteger)) throw new ArgumentError(`${what}: the plan's ${name} are ${show(list)}, not a list of layers`);
  }
  if (Object.values(given).every(({ length }: readonly number[]) => length === 0)) throw new ArgumentError(`${what}: the plan leaves nothing out; name layers in tokenMixers, channelMixers or blocks`);
  return given;
}
