import type { Blueprint } from '../architectures/blueprint.js';
import { leaveOut } from '../architectures/dropped.js';
import { convertChanged, type ConvertOptions } from '../convert/convert.js';
import { convertChangedToSafetensors, type FilePart } from '../convert/packed-safetensors.js';
import type { SourceOptions } from '../convert/open.js';
import type { ModelSource } from '../sources/source.js';
import { checkPlan, droppedBy, type PrunePlan } from './plan.js';

/* What is left of a model, as files: see `prune.ts`. */

export function writeGguf(source: ModelSource, plan: PrunePlan, options: ConvertOptions): AsyncGenerator<Uint8Array, void, undefined> {
  return convertChanged('prune', source, options, without('prune', plan));
}

export function writeFolder(source: ModelSource, plan: PrunePlan, options: SourceOptions): AsyncGenerator<FilePart, void, undefined> {
  return convertChangedToSafetensors('pruneToSafetensors', source, options, without('pruneToSafetensors', plan));
}

function without(what: string, plan: PrunePlan): (blueprint: Blueprint) => Blueprint {
  const checked = checkPlan(what, plan);
  return (blueprint) => leaveOut(blueprint, droppedBy(what, blueprint, checked));
}
