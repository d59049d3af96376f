import type { ChatFormat, RenderOptions } from '../chat/format.js';
import type { ChatMessage } from '../chat/messages.js';
import type { TemplatePiece } from '../chat/text.js';
import { ArgumentError, show } from '../errors.js';
import { isJsonObject } from '../formats/bytes.js';
import { givenOptions } from '../options.js';
import { messageOf, parseAnswer, THOUGHT, type Answer } from './answer.js';
import { AnswerStream, type AnswerPiece } from './answer-stream.js';
import { encodeChat } from './chat-bytes.js';
import { encodeRendered } from './chat-ids.js';
import { TEXT_OPTIONS, type GenerateOptions, type GenerateResult } from './options.js';
import type { AppendOptions, InSession, Session, SessionMark } from './session.js';
import type { Tokenizer } from '../tokenizer/tokenizer.js';

/** Options of one answer: those of `generate`, and what the template is told. Those of `lm.chat` are for all answers. */
export interface SayOptions extends InSession<GenerateOptions>, RenderOptions {
  /** Called with how many tokens of the prompt have been read. */
  readonly onProgress?: ((tokens: number, total: number) => void) | undefined;
}

export interface ChatOptions extends SayOptions {
  /** What the first message says, as role "system". */
  readonly system?: string | undefined;
  /** A conversation to go on from. */
  readonly messages?: readonly ChatMessage[] | undefined;
}

/** What a generator of answers returns. */
export interface ChatResult extends GenerateResult, Answer {
  /** Tokens that were read for this answer: those of what was said, not those of the conversation before. */
  readonly promptTokens: number;
}

/** What a conversation needs of its model. */
export interface ChatHost {
  readonly tokenizer: Tokenizer;
  readonly format: ChatFormat;
  /** Ids that end an answer. */
  readonly eosTokenIds: readonly number[];
  session(): Session;
}

/** The conversation up to what somebody said, as it was read. */
interface Turn {
  /** How many messages there were before. */
  readonly messages: number;
  /** Ids of the rendered conversation up to here, without the beginning of an answer. */
  readonly rendered: readonly number[];
  /** The session there, and before it was read; undefined for an empty one, and in a conversation that was saved. */
  readonly mark?: SessionMark | undefined;
  readonly before?: SessionMark | undefined;
}

const SAY_OPTIONS: readonly string[] = [...TEXT_OPTIONS.filter((name) => name !== 'state' && name !== 'prefixCache'), 'onProgress'];
export const CHAT_OPTIONS: readonly string[] = [...SAY_OPTIONS, 'system', 'messages'];

/** Stands for an answer, to find what comes behind it. No text has this character. */
const PLACEHOLDER = '\u{10FFFE}';

/**
 * A conversation with a model, as its chat template has it. All that was read and written stays in a session, so that an answer costs what is new.
 * Where the template changes what was said before (it leaves out a thought, or a message was edited), the text is read again from there on.
 */
export class Conversation {
  private readonly host: ChatHost;
  private readonly options: ChatOptions;
  private session: Session;
  private all: readonly ChatMessage[];
  private turns: readonly Turn[];
  private isAtWork = false;

  /** @internal Use `lm.chat()`, or `lm.openChat(bytes)`. */
  constructor(what: string, host: ChatHost, given: ChatOptions, session = host.session(), turns: readonly Turn[] = []) {
    const options = givenOptions(what, given, CHAT_OPTIONS);
    const { system, messages = [] } = options;
    if (system !== undefined && typeof system !== 'string') throw new ArgumentError(`${what}: option system is ${show(system)}, not a text`);
    this.host = host;
    this.options = options;
    this.session = session;
    this.all = [...(system === undefined ? [] : [{ role: 'system', content: system }]), ...toMessages(what, messages)];
    this.turns = turns;
  }

  /** All that was said so far. */
  get messages(): readonly ChatMessage[] {
    return this.all;
  }

  /** Tokens of the conversation, as far as they were read or written. */
  get tokens(): number {
    return this.session.tokens;
  }

  /**
   * Says something, and yields the answer, piece by piece, without the thought before it. It returns the whole answer, and why it ended.
   * @param said a text of the user, or one message or several, such as results of tools.
   * @throws ArgumentError (a conversation at work, a message, an option), ChatTemplateError, the signal's reason. What was written until then is part of
   * the conversation; if nothing was, so is not what was said.
   */
  async *say(said: string | ChatMessage | readonly ChatMessage[], options: SayOptions = {}): AsyncGenerator<string, ChatResult, undefined> {
    const pieces = this.sayPieces(said, options);
    try {
      for (;;) {
        const { done, value } = await pieces.next();
        if (done) return value;
        if (value.type === 'text') yield value.text;
      }
    } finally {
      await pieces.return(undefined as never);
    }
  }

  /** As `say`, with the pieces of the thought as well. */
  async *sayPieces(said: string | ChatMessage | readonly ChatMessage[], options: SayOptions = {}): AsyncGenerator<AnswerPiece, ChatResult, undefined> {
    const what = 'chat.say';
    const { system: _system, messages: _messages, tools, enableThinking, templateVariables, onProgress, ...generation } =
      { ...this.options, ...givenOptions(what, options, SAY_OPTIONS) };
    const hasTools = tools !== undefined;
    const messages = [...this.all, ...toMessages(what, said)];
    if (messages.length === 0) throw new ArgumentError(`${what}: there are no messages`);
    this.checkIdle(what);
    this.isAtWork = true;
    let written = '';
    let isDone = false; // also with nothing to say
    let prompt: { readonly tokens: number; readonly isThinking: boolean } | undefined;
    try {
      prompt = await this.read(messages, { tools, enableThinking, templateVariables }, { onProgress, signal: generation.signal });
      const stream = new AnswerStream(prompt.isThinking, hasTools);
      const answer = this.session.generate({ eosTokenIds: this.host.eosTokenIds, ...generation });
      try {
        for (;;) {
          const { done, value } = await answer.next();
          if (done) {
            isDone = true;
            yield* stream.finish();
            return { ...value, ...parseAnswer(written, prompt.isThinking, hasTools), promptTokens: prompt.tokens };
          }
          written += value;
          yield* stream.push(value);
        }
      } finally {
        await answer.return(undefined as never);
      }
    } finally {
      this.isAtWork = false;
      if (prompt && !isDone && written === '') this.takeBack(this.turns.length - 1);
      else if (prompt) this.all = [...messages, messageOf(parseAnswer(written, prompt.isThinking, hasTools))];
    }
  }

  /** Another conversation that goes on from here. @throws ArgumentError for one at work. */
  fork(): Conversation {
    this.checkIdle('chat.fork');
    const { system: _system, ...options } = this.options;
    return new Conversation('chat.fork', this.host, { ...options, messages: this.all }, this.session.fork(), this.turns);
  }

  /** Takes back the last `turns` things that were said, and their answers. @throws ArgumentError for more than there are, or a conversation at work. */
  rewind(turns = 1): void {
    this.checkIdle('chat.rewind');
    if (!Number.isInteger(turns) || turns < 1 || turns > this.turns.length) throw new ArgumentError(`chat.rewind: turns is ${show(turns)}; there are ${this.turns.length} to take back`);
    this.takeBack(this.turns.length - turns);
  }

  /** The conversation as bytes: `lm.openChat` goes on from them, in another process too. @throws ArgumentError for one at work. */
  save(): Uint8Array {
    this.checkIdle('chat.save');
    return encodeChat({ messages: this.all, rendered: this.turns.at(-1)?.rendered ?? [] }, this.session.save());
  }

  /** Lets go of its memory now, and not only when it is garbage-collected. @throws ArgumentError for a conversation at work. */
  dispose(): void {
    this.checkIdle('chat.dispose');
    this.turns = [];
    this.session.dispose();
  }

  /** Reads what is new of a conversation that ends with what somebody said, and the beginning of an answer. */
  private async read(messages: readonly ChatMessage[], render: RenderOptions, options: AppendOptions): Promise<{ tokens: number; isThinking: boolean }> {
    const { format, tokenizer } = this.host;
    const rendered = encodeRendered(tokenizer, format.render(messages, { ...render, addGenerationPrompt: false }), true);
    const pieces = format.render(messages, { ...render, addGenerationPrompt: true });
    const whole = encodeRendered(tokenizer, pieces, true);
    const before = this.session.tokens > 0 ? this.session.mark() : undefined;
    const { turns } = this;
    let kept = turns.length - 1;
    while (kept >= 0 && !startsWith(whole, turns[kept]!.rendered)) kept--;
    try {
      let ids = kept >= 0 && kept === turns.length - 1 ? this.behindAnswer(messages, render) : undefined;
      if (!ids) {
        const { mark, rendered: known } = turns[kept] ?? {};
        ids = mark ? whole.slice(known!.length) : whole;
        this.goTo(mark);
        this.turns = turns.slice(0, mark ? kept + 1 : 0);
      }
      const start = this.session.tokens;
      // The place behind what was said is one to come back to, if the beginning of an answer is tokens of its own.
      const tail = startsWith(whole, rendered) ? whole.length - rendered.length : 0;
      await this.session.append(ids.slice(0, ids.length - tail), options);
      this.turns = [...this.turns, { messages: this.all.length, rendered: tail > 0 ? rendered : whole, mark: this.session.mark(), before }];
      await this.session.append(ids.slice(ids.length - tail), { signal: options.signal });
      return { tokens: this.session.tokens - start, isThinking: opensThought(pieces) };
    } catch (error) {
      this.turns = turns;
      this.goTo(before);
      throw error;
    }
  }

  /**
   * Ids of what comes behind the last answer, which the session has as it was written. Undefined where the template shows that answer in another way: with a
   * thought left out, or calls.
   */
  private behindAnswer(messages: readonly ChatMessage[], render: RenderOptions): number[] | undefined {
    const at = this.all.length - 1;
    const answer = messages[at];
    if (answer?.role !== 'assistant' || answer.reasoning_content || answer.tool_calls) return undefined;
    const { format, tokenizer } = this.host;
    const pieces = format.render(messages.map((message, n) => (n === at ? { ...message, content: PLACEHOLDER } : message)), { ...render, addGenerationPrompt: true });
    const from = pieces.findIndex(({ text }) => text.includes(PLACEHOLDER));
    const behind = pieces.slice(from);
    const [first] = behind;
    if (!first || behind.slice(1).some(({ text }) => text.includes(PLACEHOLDER)) || first.text.split(PLACEHOLDER).length !== 2) return undefined;
    return encodeRendered(tokenizer, [{ ...first, text: first.text.split(PLACEHOLDER)[1]! }, ...behind.slice(1)], false);
  }

  /** Takes back all from a turn on. */
  private takeBack(from: number): void {
    const { messages, before } = this.turns[from]!;
    this.goTo(before);
    this.all = this.all.slice(0, messages);
    this.turns = before ? this.turns.slice(0, from) : [];
  }

  private goTo(mark: SessionMark | undefined): void {
    if (mark) return this.session.rewind(mark);
    const { session } = this;
    this.session = this.host.session();
    session.dispose();
  }

  private checkIdle(what: string): void {
    if (this.isAtWork) throw new ArgumentError(`${what}: the conversation is at work; wait until its answer is there, or fork it before`);
  }
}

function startsWith(ids: readonly number[], start: readonly number[]): boolean {
  return start.length <= ids.length && start.every((id, n) => ids[n] === id);
}

/** Whether the beginning of an answer is within a thought, as Qwen3.5's template has it. */
export function opensThought(pieces: readonly TemplatePiece[]): boolean {
  return pieces.at(-1)?.text.trimEnd().endsWith(THOUGHT.open) ?? false;
}

function toMessages(what: string, said: string | ChatMessage | readonly ChatMessage[]): readonly ChatMessage[] {
  if (typeof said === 'string') return [{ role: 'user', content: said }];
  const list: unknown[] = Array.isArray(said) ? said : [said];
  for (const message of list) {
    if (!isJsonObject(message) || typeof message['role'] !== 'string') throw new ArgumentError(`${what}: ${show(message)} is no message, which has a role and a content`);
  }
  return list as ChatMessage[];
}
