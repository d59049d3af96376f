import { ArgumentError, show } from '../errors.js';
import type { ModelState } from '../model/state.js';

/** What tells a prefix cache: its class loads when one is made. */
export const IS_PREFIX_CACHE = Symbol('prefix cache');

/** @throws ArgumentError unless `cache`, an option, is not given or one that `state` can be restored from. */
export function checkPrefixCache(cache: { readonly [IS_PREFIX_CACHE]: true; check(state: ModelState): void } | undefined, state: ModelState): void {
  if (cache === undefined) return;
  if (cache?.[IS_PREFIX_CACHE] !== true) throw new ArgumentError(`option prefixCache is ${show(cache)}, not what await lm.createPrefixCache() gave`);
  cache.check(state);
}
