import { afterEach, describe, expect, it } from 'vitest';
import { ArgumentError, MatMulFreeLM } from 'matmulfree';
import type { ChatResult, Conversation, SayOptions } from '../../src/generate/conversation.js';
import { FASTEST } from '../support/backends.js';
import { CHAT_MODELS, CONTROL, QWEN_LIKE, VOCAB } from '../support/chat.js';
import { CHATML, QWEN3 } from '../support/chat-templates.js';
import { tries } from '../support/effort.js';
import { freshSeed, randomFrom } from '../support/random.js';

/*
 * Whatever was done with a conversation, its answers are those that the model gives to the whole of it, rendered anew. The tokenizer has single characters and
 * control tokens, so that a text is the same ids however it is put together.
 */

const SEED = freshSeed();
const END = VOCAB - CONTROL.length + CONTROL.indexOf('<|im_end|>');
/** A random model would write control tokens, which are not told as text. */
const OTHERS = CONTROL.map((_, n) => VOCAB - CONTROL.length + n).filter((id) => id !== END);
const SAMPLING = { maxNewTokens: 30, temperature: 1, bannedTokens: OTHERS };
/** Spaces around what was said are left out, as in Llama 3's. */
const TRIMMED = QWEN_LIKE.replace('{{ message.content }}', '{{ message.content | trim }}');
const TEMPLATES = { QWEN_LIKE: QWEN_LIKE.replace('{%- for', '{%- if tools %}T{{ tools | length }}{% endif %}{%- for'), QWEN3, CHATML, TRIMMED };

let lm: MatMulFreeLM;
afterEach(() => lm.dispose());

async function load(n: number, seed = SEED, options: object = {}): Promise<void> {
  const { backend, threads } = FASTEST;
  lm = await MatMulFreeLM.load(CHAT_MODELS[n]!.files(seed), { backend, threads, chatTemplate: QWEN_LIKE, ...options });
}

async function say(chat: Conversation, said: Parameters<Conversation['say']>[0], options: SayOptions = {}, leaveAfter = Infinity): Promise<ChatResult | undefined> {
  const answer = chat.say(said, { ...SAMPLING, ...options });
  let text = '';
  for (let pieces = 0; pieces < leaveAfter; pieces++) {
    const { done, value } = await answer.next();
    if (!done) text += value;
    else {
      expect(text).toBe(value.content);
      return value;
    }
  }
  await answer.return(undefined as never);
  return undefined;
}

/** What the model answers to messages, as a text of its own. */
async function afresh(chat: Conversation, { tools, eosTokenIds = [END], ...options }: SayOptions): Promise<string> {
  const prompt = await lm.tokenizer.applyChatTemplate(chat.messages.slice(0, -1), { addGenerationPrompt: true, tools });
  let text = '';
  for await (const piece of lm.generate(lm.tokenizer.encode(prompt, { addSpecialTokens: false }), { ...SAMPLING, ...options, eosTokenIds })) text += piece;
  return text;
}

/** Says something more; the answer is the one afresh. */
async function expectToGoOn(chat: Conversation, seed = 7): Promise<void> {
  const answer = await say(chat, 'x', { seed });
  expect(answer!.content).toBe(await afresh(chat, { seed }));
}

describe.each(CHAT_MODELS.map(({ name }, n) => ({ name, n })))(`a conversation with $name (seed ${SEED})`, ({ n }) => {
  it('forgets nothing when it is saved behind turns that were taken back', async () => {
    await load(n);
    const chat = lm.chat();
    for (let turn = 0; turn < 6; turn++) await say(chat, `q ${turn}`, { seed: turn });
    chat.rewind(4);
    const opened = lm.openChat(chat.save());
    expect(opened.messages).toEqual(chat.messages);
    await expectToGoOn(opened);
    await expectToGoOn(chat);
  });

  it('does not keep a stop string, which is no part of the answer; nor does one that is saved, forked, or taken back to it', async () => {
    await load(n);
    const free = await say(lm.chat(), 'a', { seed: 1, eosTokenIds: [], bannedTokens: [...OTHERS, END] });
    const chat = lm.chat();
    const { content, stopString } = (await say(chat, 'a', { seed: 1, stop: free!.content.slice(4, 6), eosTokenIds: [], bannedTokens: [...OTHERS, END] }))!;
    expect([content + stopString, free!.content.startsWith(content + stopString!)]).toEqual([content + free!.content.slice(4, 6), true]);
    const [opened, fork, other] = [lm.openChat(chat.save()), chat.fork(), chat.fork()];
    await say(other, 'b', { seed: 2 });
    other.rewind();
    for (const each of [chat, opened, fork, other]) await expectToGoOn(each);
    // Of what was read before, only the answer is read again.
    const { promptTokens } = (await say(lm.openChat((await stopped()).save()), 'x'))!;
    expect(promptTokens).toBeLessThan(lm.tokenizer.encode('long '.repeat(40)).length);
  });

  async function stopped(): Promise<Conversation> {
    const chat = lm.chat();
    const answer = (await say(chat, 'long '.repeat(40), { seed: 1, maxNewTokens: 6, eosTokenIds: [], bannedTokens: [...OTHERS, END] }))!;
    chat.rewind();
    await say(chat, 'long '.repeat(40), { seed: 1, stop: answer.content.slice(2, 4), eosTokenIds: [], bannedTokens: [...OTHERS, END] });
    return chat;
  }

  it('reads an answer again that the template shows without the spaces around it', async () => {
    await load(n, SEED, { chatTemplate: TRIMMED });
    const chat = lm.chat();
    const space = lm.tokenizer.tokenToId(' ')!;
    await say(chat, 'a', { seed: 1, forcedTokens: { 0: space, 3: space }, maxNewTokens: 4 });
    expect(chat.messages.at(-1)!.content).toMatch(/^ [^]* $/);
    await expectToGoOn(chat);
  });

  it('does not keep what was held back when it was stopped', async () => {
    await load(n);
    const options = { seed: 3, eosTokenIds: [], bannedTokens: [...OTHERS, END] };
    const { content } = (await say(lm.chat(), 'a', options))!;
    const chat = lm.chat();
    const stop = new AbortController();
    let chosen = 0;
    const logitsProcessor = (): void => { if (++chosen === 6) stop.abort(new Error('enough')); };
    await expect(say(chat, 'a', { ...options, stop: `${content.slice(2)}…`, logitsProcessor, signal: stop.signal })).rejects.toThrow('enough');
    const kept = String(chat.messages.at(-1)?.content ?? '');
    expect(kept).toBe(content.slice(0, Math.min(kept.length, 2)));
    await expectToGoOn(chat);
  });

  it.each(Object.entries(TEMPLATES))('says what a text of its own would be, whatever is done with it (%s)', async (_name, chatTemplate) => {
    for (let round = 0; round < tries(1, 25); round++) await fuzz(n, SEED + round, chatTemplate);
  });
});

describe.each(CHAT_MODELS.map(({ name }, n) => ({ name, n })).slice(1))(`a conversation with $name (seed ${SEED})`, ({ n }) => {
  it('has all the memory that there is for keys and values', async () => {
    await load(n, SEED, { contextTokens: 384 });
    const chat = lm.chat();
    for (const seed of [1, 2, 3]) await say(chat, 'hi', { seed, maxNewTokens: 4 });
    const { tokens, messages } = chat;
    await expect(say(chat, 'x'.repeat(400))).rejects.toThrow(/^chat.say: the memory for keys and values is used up/);
    expect([chat.tokens, chat.messages]).toEqual([tokens, messages]);
    await expect(say(chat, 'y', { maxNewTokens: 500, eosTokenIds: [], bannedTokens: [...OTHERS, END] })).rejects.toThrow(/^chat.say: the memory for keys and values is used up/);
    expect(chat.tokens).toBe(385); // the last one is not read yet
    const bytes = chat.save();
    const other = lm.session();
    expect(() => lm.openChat(bytes)).toThrow(/^openChat: the memory for keys and values is used up/);
    other.dispose();
    chat.rewind();
    expect(chat.messages).toEqual(messages);
    await expectToGoOn(chat);
  });
});

const SAID = ['hi', '', 'what is 1', 'a long one '.repeat(9), [{ role: 'user', content: 'x' }, { role: 'user', content: 'y' }], { role: 'tool', content: 'r' }];
const TOOLS = [undefined, undefined, [{ name: 'f' }], [{ name: 'f' }, { name: 'g' }]];
const STOPS = [undefined, undefined, ['a', '<<'], ['1', '\n'], ['l', 'v', 'S/']];

async function fuzz(n: number, seed: number, chatTemplate: string): Promise<void> {
  const random = randomFrom(seed);
  const pick = <T>(list: readonly T[]): T => list[random.integer(0, list.length - 1)]!;
  await load(n, seed, { chatTemplate, contextTokens: 64 * random.integer(10, 60) });
  let chats = [lm.chat(pick([{}, { system: 's' }, { messages: [{ role: 'user', content: 'a' }, { role: 'assistant', content: 'b' }] }]))];
  const isFull = (error: unknown): boolean => error instanceof ArgumentError && /^(chat\.say|openChat|generate): the memory/.test(error.message);

  async function answer(chat: Conversation): Promise<void> {
    const stop = new AbortController();
    const end = pick(['', '', '', 'abort', 'leave', 'throw', 'refuse']);
    const at = random.integer(1, 9);
    let chosen = 0;
    const options: SayOptions = { seed: random.integer(0, 99), maxNewTokens: pick([0, 1, 5, 20]), tools: pick(TOOLS), stop: pick(STOPS), ...(random.integer(0, 3) === 0 ? { eosTokenIds: [], bannedTokens: [...OTHERS, END] } : {}) };
    const more: SayOptions = {
      ...(end === 'refuse' ? { topP: -1 } : {}), signal: stop.signal,
      logitsProcessor() {
        if (++chosen !== at || !['abort', 'throw'].includes(end)) return;
        if (end === 'throw') throw new Error('thrown');
        stop.abort(new Error('aborted'));
      },
    };
    const { messages, tokens } = chat;
    try {
      const result = await say(chat, pick(SAID), { ...options, ...more }, end === 'leave' ? at : undefined);
      if (result) expect(result.content).toBe(await afresh(chat, options));
    } catch (error) {
      if (!isFull(error) && !/^(aborted|thrown|option topP)/.test((error as Error).message)) throw error;
      if (chat.messages === messages) expect(chat.tokens).toBe(tokens);
    }
  }

  function reopened(chat: Conversation): Conversation[] {
    const bytes = chat.save();
    chat.dispose();
    try {
      return [lm.openChat(bytes)];
    } catch (error) {
      if (!isFull(error)) throw error;
      return [];
    }
  }

  for (let step = 0; step < 25; step++) {
    const chat = pick(chats);
    const others = chats.filter((each) => each !== chat);
    const what = pick(['fork', 'rewind', 'reopen', 'drop', 'say', 'say', 'say', 'say', 'say', 'say']);
    if (what === 'say') await answer(chat);
    else if (what === 'fork' && chats.length < 4) chats.push(chat.fork());
    else if (what === 'reopen') chats = [...others, ...reopened(chat)];
    else if (what === 'drop' && others.length > 0) {
      chat.dispose();
      chats = others;
    } else if (what === 'rewind') {
      const turns = random.integer(1, 4);
      if (turns <= chat.messages.filter(({ role }) => role === 'assistant').length - 1) chat.rewind(turns);
    }
    if (chats.length === 0) chats = [lm.chat()];
  }
  for (const chat of chats) chat.dispose();
  const { pages } = lm.model.parts;
  expect(pages?.available).toBe(pages?.total);
  lm.dispose();
}
