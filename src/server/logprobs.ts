import type { TokenPiece } from '../generate/text-pieces.js';
import type { Tokenizer } from '../tokenizer/tokenizer.js';

/** Texts of tokens by themselves, and log-probabilities in the two forms of OpenAI's API. */
export class Logprobs {
  private readonly tokenizer: Tokenizer;
  private readonly texts = new Map<number, string>();

  constructor(tokenizer: Tokenizer) {
    this.tokenizer = tokenizer;
  }

  /** Of a chat: one entry for each token. */
  ofChat(tokens: readonly TokenPiece[]): { readonly content: readonly unknown[]; readonly refusal: null } {
    const entry = (token: string, logprob: number): Record<string, unknown> => ({ token, logprob: finite(logprob), bytes: Array.from(new TextEncoder().encode(token)) });
    const content = tokens.map(({ id, logprob, topLogprobs }) => ({
      ...entry(this.text(id), logprob), top_logprobs: topLogprobs.map((top) => entry(this.text(top.id), top.logprob)),
    }));
    return { content, refusal: null };
  }

  /** Of a completion: lists side by side. @param offset characters of text before the first. */
  ofCompletion(tokens: readonly TokenPiece[], offset: number): Record<string, unknown> {
    let at = offset;
    const offsets = tokens.map(({ text }) => (at += text.length) - text.length);
    return {
      tokens: tokens.map(({ id }) => this.text(id)),
      token_logprobs: tokens.map(({ logprob }) => finite(logprob)),
      // The chosen token is always among them, as in OpenAI's API.
      top_logprobs: tokens.map((token) => Object.fromEntries([...token.topLogprobs, token].map(({ id, logprob }) => [this.text(id), finite(logprob)]))),
      text_offset: offsets,
    };
  }

  /** What a token adds to a text; a part of a character is shown as its token is written. */
  private text(id: number): string {
    let text = this.texts.get(id);
    if (text !== undefined) return text;
    const name = this.tokenizer.idToToken(id);
    const stream = this.tokenizer.createDecodeStream({ prompt: name === undefined ? [] : [id] }); // behind another token it keeps its space
    text = (name === undefined ? '' : stream.push(id)) || (name ?? '');
    this.texts.set(id, text);
    return text;
  }
}

/** JSON has no -Infinity: OpenAI's API says -9999. */
function finite(logprob: number): number {
  return Math.max(-9999, logprob);
}
