import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ArgumentError, MatMulFreeLM, type ChatMessage } from 'matmulfree';
import { MatMulFreeWorker } from 'matmulfree/worker';
import { CHAT_MODELS, QWEN_LIKE } from '../support/chat.js';
import { freshSeed } from '../support/random.js';
import { WorkerInProcess } from '../support/worker-in-process.js';

const SEED = freshSeed();
const files = CHAT_MODELS[1]!.files(SEED);
const MESSAGES: readonly ChatMessage[] = [{ role: 'system', content: 'be brief' }, { role: 'user', content: 'what is it' }];
/** Each character is a token; a thought, which is then an answer. */
const OPTIONS = { temperature: 0.9, seed: 3, maxNewTokens: 60, constraint: { regex: '<think>[a-z]{8}</think>\\n[a-z]{9}' } };

let right: MatMulFreeLM;
let lm: MatMulFreeWorker;
const inWorker = (chatTemplate?: string): Promise<MatMulFreeWorker> =>
  MatMulFreeWorker.load(files, { worker: new WorkerInProcess() as unknown as Worker, threads: 1, chatTemplate });
beforeAll(async () => {
  [right, lm] = await Promise.all([MatMulFreeLM.load(files, { threads: 1, chatTemplate: QWEN_LIKE }), inWorker(QWEN_LIKE)]);
});
afterAll(() => {
  right.dispose();
  lm.dispose();
});

async function all<T, R>(items: AsyncGenerator<T, R>, most = Infinity): Promise<{ items: T[]; result: R | undefined }> {
  const taken: T[] = [];
  while (taken.length < most) {
    const { done, value } = await items.next();
    if (done) return { items: taken, result: timeless(value) };
    taken.push(value);
  }
  await items.return(undefined as R);
  return { items: taken, result: undefined };
}

function timeless<T>(result: T): T {
  return typeof result === 'object' && result !== null && 'decodeMs' in result ? { ...result, prefillMs: 0, decodeMs: 0 } : result;
}

describe(`messages as prompts in a worker (seed ${SEED})`, () => {
  it('complete, generate, generateTokens, generateBatch and beamSearch answer as without one', async () => {
    expect(lm.hasChatTemplate).toBe(true);
    const completed = await lm.complete(MESSAGES, OPTIONS);
    expect(timeless(completed)).toEqual(timeless(await right.complete(MESSAGES, OPTIONS)));
    expect(timeless(await lm.complete('abc', OPTIONS))).toEqual(timeless(await right.complete('abc', OPTIONS)));
    expect(await all(lm.generate(MESSAGES, OPTIONS))).toEqual(await all(right.generate(MESSAGES, OPTIONS)));
    expect(await all(lm.generateTokens(MESSAGES, OPTIONS))).toEqual(await all(right.generateTokens(MESSAGES, OPTIONS)));
    const batch = [MESSAGES, { prompt: MESSAGES, seed: 4 }, 'abc'];
    expect((await lm.generateBatch(batch, OPTIONS)).map(timeless)).toEqual((await right.generateBatch(batch, OPTIONS)).map(timeless));
    expect(await lm.beamSearch(MESSAGES, { maxNewTokens: 4 })).toEqual(await right.beamSearch(MESSAGES, { maxNewTokens: 4 }));
  });

  it('options of the template go along; a state goes on', async () => {
    const options = { ...OPTIONS, enableThinking: false };
    expect(timeless(await lm.complete(MESSAGES, options))).toEqual(timeless(await right.complete(MESSAGES, options)));
    const [state, rightState] = [await lm.createState(), right.createState()];
    await Promise.all([lm.complete('abc', { ...OPTIONS, state }), right.complete('abc', { ...OPTIONS, state: rightState })]);
    expect(await state.serialize()).toEqual(rightState.serialize());
  });

  it('complete can be stopped', async () => {
    await expect(lm.complete('abc', { signal: AbortSignal.abort(new Error('no')) })).rejects.toThrow('no');
    const stop = new AbortController();
    const answer = lm.complete('abc', { maxNewTokens: 1e6, eosTokenIds: [], signal: stop.signal });
    setTimeout(() => stop.abort(new Error('enough')), 5);
    await expect(answer).rejects.toThrow('enough');
  });
});

describe(`a conversation in a worker (seed ${SEED})`, () => {
  it('answers, forks, goes back, is saved and opened as without one', async () => {
    const options = { ...OPTIONS, system: 'be brief' };
    const [mine, theirs] = [await lm.chat(options), right.chat(options)];
    const same = async (): Promise<void> => {
      expect(await mine.messages()).toEqual(theirs.messages);
      expect(await mine.tokens()).toBe(theirs.tokens);
      expect(await mine.save()).toEqual(theirs.save());
    };
    await same();
    expect(await all(mine.say('one'))).toEqual(await all(theirs.say('one')));
    const pieces = await all(mine.sayPieces('two', { seed: 4 }));
    expect(pieces).toEqual(await all(theirs.sayPieces('two', { seed: 4 })));
    expect(new Set(pieces.items.map(({ type }) => type))).toEqual(new Set(['thinking', 'text']));
    expect(pieces.result).toMatchObject({ thinking: expect.stringMatching(/^[a-z]{8}$/), content: expect.stringMatching(/^[a-z]{9}$/) });
    await same();
    const [fork, rightFork] = [await mine.fork(), theirs.fork()];
    await mine.rewind();
    theirs.rewind();
    await same();
    await all(mine.say([{ role: 'user', content: 'three' }]));
    await all(theirs.say([{ role: 'user', content: 'three' }]));
    await same();
    await mine.rewind(2);
    theirs.rewind(2);
    await same();
    expect(await fork.save()).toEqual(rightFork.save());
    const [opened, rightOpened] = [await lm.openChat(rightFork.save(), OPTIONS), right.openChat(await fork.save(), OPTIONS)];
    expect(await all(opened.say('four'))).toEqual(await all(rightOpened.say('four')));
    expect(await all(fork.say('four'))).toEqual(await all(rightFork.say('four')));
    expect(await opened.messages()).toEqual(rightFork.messages);
  });

  it.each([1, 2, 11])('that is left after %i pieces holds what was taken, and no more', async (taken) => {
    const [mine, theirs] = [await lm.chat(OPTIONS), right.chat(OPTIONS)];
    expect((await all(mine.sayPieces('one'), taken)).items).toEqual((await all(theirs.sayPieces('one'), taken)).items);
    expect(await mine.messages()).toEqual(theirs.messages);
    expect(await mine.save()).toEqual(theirs.save());
  });

  it('stops by the signal of an answer, or of all answers', async () => {
    const long = { constraint: { regex: '[a-z]{900}' }, maxNewTokens: 1000 };
    for (const isOfAll of [false, true]) {
      const stop = new AbortController();
      const signal = stop.signal;
      const chat = await lm.chat(isOfAll ? { ...long, signal } : long);
      const answer = (async () => {
        let count = 0;
        for await (const _ of chat.say('one', isOfAll ? {} : { signal })) if (++count === 3) stop.abort(new Error('enough'));
      })();
      await expect(answer).rejects.toThrow('enough');
      const [, said] = await chat.messages();
      expect(said).toMatchObject({ role: 'assistant', content: expect.stringMatching(/^[a-z]{3,6}$/) });
      if (isOfAll) await expect(all((await chat.fork()).say('two'))).rejects.toThrow('enough');
    }
  });

  it('refuses by name what cannot be', async () => {
    const chat = await lm.chat(OPTIONS);
    await expect(chat.rewind()).rejects.toThrow(ArgumentError);
    await expect(chat.rewind(2)).rejects.toThrow(/chat\.rewind: turns is 2/);
    await expect(all(chat.say(5 as never))).rejects.toThrow(/^chat\.say: 5 is no message/);
    await expect(all(chat.say('a', { onProgress() {} } as never))).rejects.toThrow(/^chat\.say: an argument cannot be sent to the worker: the option onProgress is a function/);
    await expect(lm.chat({ system: 5 } as never)).rejects.toThrow(/^chat: option system is 5, not a text$/);
    await expect(lm.openChat(new Uint8Array(3))).rejects.toThrow(/^openChat: /);
    const answer = chat.say('one');
    await answer.next();
    await expect(all(chat.say('two'))).rejects.toThrow(/^chat\.say: .*at work/);
    await answer.return(undefined as never);
    chat.dispose();
    await expect(chat.messages()).rejects.toThrow('this conversation has been disposed of');
    const without = await inWorker();
    expect(without.hasChatTemplate).toBe(false);
    await expect(without.chat()).rejects.toThrow(/has no chat template/);
    await expect(without.complete(MESSAGES)).rejects.toThrow(/has no chat template/);
    without.dispose();
    await expect(without.chat()).rejects.toThrow(ArgumentError);
  });
});
