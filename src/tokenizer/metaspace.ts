import type { Json } from './json.js';

/** How Metaspace treats the beginning of a text, for the pre-tokenizer and the decoder alike. */
export function metaspaceScheme(json: Json): 'always' | 'first' | 'never' {
  const scheme = json.key('prepend_scheme').oneOf(['always', 'first', 'never'] as const, 'always');
  const legacy = json.key('add_prefix_space');
  if (legacy.absent || legacy.boolean()) return scheme;
  if (!json.key('prepend_scheme').absent && scheme !== 'never') legacy.fail(`false does not go with prepend_scheme "${scheme}"`);
  return 'never';
}
