/** What a merge takes beside its text, in characters. */
const MERGE_COST = 16;

/**
 * The merges of a SentencePiece BPE vocabulary, best first: there any two neighbours merge that make a token, the pair whose
 * token has the highest score first, then the leftmost. Each way to make a token of two becomes a merge.
 * @param tokens the tokens that take part, with their ids.
 * @param scores by id; not NaN.
 * @param limit on the characters of all merges, and on the work.
 * @returns undefined when that is not enough.
 */
export function scoredMerges(
  tokens: ReadonlyMap<string, number>, scores: readonly number[], limit: number,
): [string, string][] | undefined {
  const merges: { left: string; right: string; score: number; id: number }[] = [];
  let work = 0;
  let characters = 0;
  for (const [token, id] of tokens) {
    work += token.length ** 2;
    if (work > limit * 4) return undefined;
    for (let cut = 1; cut < token.length; cut++) {
      const right = token.slice(cut);
      if (!tokens.has(right)) continue;
      const left = token.slice(0, cut);
      if (!tokens.has(left)) continue;
      merges.push({ left, right, score: scores[id]!, id });
      characters += token.length + MERGE_COST;
      if (characters > limit) return undefined;
    }
  }
  // Where a token can be made in two ways within one run of a character, the left one is that with the shorter left part.
  merges.sort((a, b) => Number(b.score > a.score) - Number(b.score < a.score) || a.id - b.id || a.left.length - b.left.length);
  return merges.map(({ left, right }) => [left, right]);
}
