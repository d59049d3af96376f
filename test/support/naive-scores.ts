import type { MatMulFreeLM } from 'matmulfree';

export interface NaiveScore {
  readonly logprob: number;
  readonly isGreedy: boolean;
}

/** Log-probabilities of ids[from...], token by token through `lm.forward`, with Math.exp and Math.log. `from` is at least 1. */
export function naiveLogprobs(lm: MatMulFreeLM, ids: readonly number[], from = 1): { logprob: number; isBest: boolean }[] {
  const state = lm.createState();
  const found: { logprob: number; isBest: boolean }[] = [];
  for (let t = 0; t + 1 < ids.length; t++) {
    const logits = Array.from(lm.forward(ids[t]!, state));
    if (t + 1 < from) continue;
    const maximum = logits.reduce((a, b) => Math.max(a, b));
    const total = logits.reduce((sum, value) => sum + Math.exp(value - maximum), 0);
    const id = ids[t + 1]!;
    found.push({ logprob: logits[id]! - maximum - Math.log(total), isBest: logits.indexOf(maximum) === id });
  }
  state.dispose();
  return found;
}

/** A context and what follows it as lm-evaluation-harness encodes them, spelt out as there; then scored token by token. */
export function naivePair(lm: MatMulFreeLM, context: string, continuation: string, bos = true): NaiveScore & { tokens: number; ids: number[]; from: number } {
  const encode = (text: string): number[] => lm.tokenizer.encode(text, { addSpecialTokens: bos });
  let ids: number[];
  let from: number;
  if (context === '') {
    ids = [lm.config.bosTokenId!, ...lm.tokenizer.encode(continuation, { addSpecialTokens: false })];
    from = 1;
  } else {
    const spaces = context.length - context.trimEnd().length;
    const before = context.slice(0, context.length - spaces);
    const whole = encode(before + context.slice(before.length) + continuation);
    const contextIds = before === '' && !bos ? [lm.config.bosTokenId!] : encode(before);
    ids = [...contextIds, ...whole.slice(before === '' && !bos ? 0 : contextIds.length)];
    from = contextIds.length;
  }
  const found = naiveLogprobs(lm, ids, from);
  return {
    ids, from, tokens: found.length,
    logprob: found.reduce((sum, { logprob }) => sum + logprob, 0), isGreedy: found.every(({ isBest }) => isBest),
  };
}
