import { describe, expect, it } from 'vitest';
import { ArgumentError, type Tokenizer } from 'matmulfree';
import { compileChoices, compileRegex } from '../../src/constrain/compile.js';
import type { ConstraintState } from '../../src/constrain/constraint.js';
import { freshSeed } from '../support/random.js';
import { build, generate, idsOf, randomOf, tokenizers } from './helpers.js';
import { randomRegex } from './random-regexes.js';

/** Tokens as their bytes, one character each, written down by hand: what the library finds out is compared with it. */
const E = '\xc3\xa9';
const VOCABULARIES: { name: string; tokenizer: Tokenizer; bytes: string[]; prompt: string }[] = [
  {
    name: 'byte-level', prompt: 'a',
    tokenizer: build(['<s>', '</s>', 'a', 'b', 'Ã', '©', 'ab', 'ba', 'Ã©', 'aÃ', '©b', 'bb', 'Ġ'], { decoder: { type: 'ByteLevel' } }),
    bytes: ['', '', 'a', 'b', '\xc3', '\xa9', 'ab', 'ba', E, 'a\xc3', '\xa9b', 'bb', ' '],
  },
  {
    name: 'with byte tokens', prompt: 'a',
    tokenizer: build(['<s>', '</s>', '<0xC3>', '<0xA9>', 'a', 'b', 'aé', 'bab', '▁a', '<0x62>'], {
      decoder: { type: 'Sequence', decoders: [{ type: 'Replace', pattern: { String: '▁' }, content: ' ' }, { type: 'ByteFallback' }, { type: 'Fuse' }, { type: 'Strip', content: ' ', start: 1, stop: 0 }] },
    }),
    bytes: ['', '', '\xc3', '\xa9', 'a', 'b', `a${E}`, 'bab', ' a', 'b'],
  },
  {
    name: 'without bytes', prompt: 'a',
    tokenizer: build(['<s>', '</s>', 'a', 'b', 'é', 'bé', 'aa'], { decoder: { type: 'Fuse' } }),
    bytes: ['', '', 'a', 'b', E, `b${E}`, 'aa'],
  },
  {
    name: 'with half of a character', prompt: 'a',
    tokenizer: build(['<s>', '</s>', 'a', 'b', 'Ã', 'Ã©', 'aÃ', 'bÃ©'], { decoder: { type: 'ByteLevel' } }),
    bytes: ['', '', 'a', 'b', '\xc3', E, 'a\xc3', `b${E}`],
  },
];

/** Whether tokens can write the bytes of `text` from `from` on. */
function canWrite(text: string, from: number, tokens: readonly string[]): boolean {
  const canReach = [true];
  for (let at = 0; at < text.length - from; at++) {
    if (canReach[at]) for (const token of tokens) if (token !== '' && text.startsWith(token, from + at)) canReach[at + token.length] = true;
  }
  return canReach[text.length - from] === true;
}

/** All texts of up to `length` of some letters. */
function texts(letters: readonly string[], length: number): string[] {
  let last = [''];
  const all = [''];
  for (let n = 0; n < length; n++) all.push(...(last = last.flatMap((text) => letters.map((letter) => text + letter))));
  return all;
}

const asBytes = (text: string): string => text.replaceAll('é', E);

/** A shortest way from a state to a whole output, as bytes; '?' if there is none. */
function finish(state: ConstraintState, bytes: readonly string[]): string {
  const numberOf = (at: ConstraintState): number => (at as unknown as { place: { state: { id: number } } }).place.state.id;
  const seen = new Set<number>();
  const due = [{ at: state, text: '' }];
  for (const { at, text } of due) {
    if (at.complete) return text;
    for (const id of idsOf(at.mask)) {
      const next = at.next(id);
      if (seen.has(numberOf(next))) continue;
      seen.add(numberOf(next));
      due.push({ at: next, text: text + bytes[id]! });
    }
  }
  return '?';
}

describe.each(VOCABULARIES)('masks, $name', ({ tokenizer, bytes, prompt }) => {
  const seed = freshSeed();

  it(`are what trying all texts finds (seed ${seed})`, () => {
    const random = randomOf(seed);
    const start = [tokenizer.tokenToId(prompt)!];
    const all = texts(['a', 'b', 'é', ...(bytes.includes(' ') ? [' '] : [])], 6);
    let masks = 0;
    for (let run = 0; run < 150; run++) {
      const pattern = randomRegex(random, 1, ['a', 'b', 'é', '[ab]', '[^a]', '.', '[aé]']);
      const expression = new RegExp(`^(?:${pattern})$`, 'u');
      const matched = all.filter((text) => expression.test(text)).map(asBytes);
      const isFound = new Set(matched);
      let state = compileRegex(pattern, tokenizer).start(start);
      let prefix = '';
      for (let step = 0; step < 4; step++) {
        const shown = `${pattern} behind ${JSON.stringify(prefix)}`;
        const ids = idsOf(state.mask);
        masks++;
        if (prefix.length < 6) expect(state.complete, shown).toBe(isFound.has(prefix));
        for (let id = 2; id < bytes.length; id++) {
          const begun = prefix + bytes[id]!;
          const shownToken = `${shown}, token ${JSON.stringify(bytes[id])}`;
          if (matched.some((text) => text.startsWith(begun) && canWrite(text, begun.length, bytes))) expect(ids, shownToken).toContain(id);
          if (ids.includes(id)) {
            const whole = begun + finish(state.next(id), bytes);
            expect(expression.test(new TextDecoder().decode(Uint8Array.from(whole, (char) => char.charCodeAt(0)))), `${shownToken}: ${whole}`).toBe(true);
          } else {
            expect(() => state.next(id), shownToken).toThrow(ArgumentError);
          }
        }
        expect(ids).not.toContain(0);
        expect(ids).not.toContain(1);
        if (ids.length === 0) break;
        const id = ids[random.integer(0, ids.length - 1)]!;
        prefix += bytes[id]!;
        state = state.next(id);
      }
    }
    expect(masks).toBeGreaterThan(300);
  });
});

describe('masks', () => {
  it('never allow what is special, unknown, padding or the end', () => {
    for (const { tokenizer, prompt } of tokenizers()) {
      const { mask } = compileRegex('[^]*', tokenizer, { eosTokenIds: [tokenizer.tokenToId('b')!] }).start(prompt);
      expect(mask.length).toBe(Math.ceil(tokenizer.vocabSize / 32));
      const ids = idsOf(mask);
      expect(ids.length).toBeGreaterThan(50);
      for (const id of ids) {
        expect(tokenizer.idToToken(id), String(id)).toBeDefined();
        expect(tokenizer.isSpecial(id), tokenizer.idToToken(id)).toBe(false);
      }
      expect(ids).not.toContain(tokenizer.tokenToId('b'));
      expect(idsOf(compileRegex('[^]*', tokenizer).start(prompt).mask)).toContain(tokenizer.tokenToId('b'));
    }
  });

  it('are the same again, and those of a state are not changed by another', () => {
    for (const { tokenizer, prompt } of tokenizers()) {
      const constraint = compileRegex('(?:[a-z]{1,9} )*[a-z]', tokenizer);
      const first = constraint.start(prompt);
      const before = [...first.mask];
      const id = idsOf(first.mask)[3]!;
      const second = [...first.next(id).mask];
      generate(constraint, tokenizer, prompt, randomOf(7));
      expect([...first.mask]).toEqual(before);
      expect([...constraint.start(prompt).next(id).mask]).toEqual(second);
    }
  });

  it('stay right when an automaton has been given up for a new one', () => {
    const { tokenizer, prompt } = tokenizers()[0]!;
    // Every number of letters is a state of its own, and every mask visits many of them.
    const pattern = '(?:[a-z]{1,30000}[0-9]){2}(?:x|yz)';
    const constraint = compileRegex(pattern, tokenizer);
    const stream = tokenizer.createDecodeStream({ prompt });
    const random = randomOf(3);
    let state = constraint.start(prompt);
    const start = state;
    const startMask = [...start.mask];
    let text = '';
    for (let n = 0; n < 12_000 && !(state.complete && idsOf(state.mask).length === 0); n++) {
      const ids = idsOf(state.mask).filter((id) => (n > 8000 && n !== 9000) || !/^\d$/.test(tokenizer.idToToken(id)!));
      const id = (n > 8000 && ids.find((other) => /^[0-9xyz]/.test(tokenizer.idToToken(other)!))) || ids[random.integer(0, ids.length - 1)]!;
      text += stream.push(id);
      state = state.next(id);
    }
    expect(new RegExp(`^(?:${pattern})$`, 'u').test(text)).toBe(true);
    expect(text.length).toBeGreaterThan(10_000);
    expect([...start.mask]).toEqual(startMask);
    expect(start.next(idsOf(start.mask)[0]!).complete).toBe(false);
  });

  it('refuse a token that is not allowed, by its id', () => {
    const { tokenizer, prompt } = tokenizers()[0]!;
    const state = compileChoices(['ab'], tokenizer).start(prompt);
    for (const id of [tokenizer.tokenToId('b')!, 0, -1, 1e9, 0.5, NaN]) {
      expect(() => state.next(id)).toThrow(`constraint: the token ${id} is not allowed here`);
    }
  });
});
