import type { Tokenizer } from '../tokenizer/tokenizer.js';
import { beamSearch, type BeamIds, type BeamSearchOptions } from './beam-search.js';
import { isMessages, type Prompt } from './prompt.js';
import { TextPieces } from './text-pieces.js';
import type { TextWriter } from './text-writer.js';

/** Puts a prompt and the model's defaults together for `beamSearch`, and tells the texts. */
export async function writeBeams(host: TextWriter, prompt: Prompt, options: BeamSearchOptions): Promise<(BeamIds & { readonly text: string })[]> {
  const ids = host.promptIds('beamSearch', prompt);
  const { maxNewTokens } = host.generationDefaults;
  const found = await beamSearch(host.model, ids, isMessages(prompt) ? { ...options, eosTokenIds: host.endsOf(prompt, options) } : options, maxNewTokens === undefined ? {} : { maxNewTokens });
  return found.map((beam) => ({ ...beam, text: host.hasTokenizer ? textAfter(host.tokenizer, ids, beam.ids) : '' }));
}

/** The text that `ids` add to the text of `before`. */
function textAfter(tokenizer: Tokenizer, before: ArrayLike<number>, ids: readonly number[]): string {
  const pieces = new TextPieces(tokenizer, before, []);
  return ids.map((id) => pieces.show(pieces.decode(id))).join('') + pieces.finish().shown;
}
