import type { Model } from './model.js';
import type { Growth } from './pages.js';

/** Whether there are positions, and memory for keys and values that nobody need give up, to read all of `inputs`. */
export function hasRoomFor({ parts: { pages, workspace } }: Model, inputs: readonly Growth[]): boolean {
  return pages?.hasRoomFor(inputs, workspace.maxTokens) ?? true;
}
