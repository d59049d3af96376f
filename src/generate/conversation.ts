import type { ChatMessage, Tool } from '../chat/messages.js';
import { ArgumentError, show } from '../errors.js';
import { isJsonObject } from '../formats/bytes.js';
import { givenOptions } from '../options.js';
import { messageOf, parseAnswer, type Answer } from './answer.js';
import { AnswerStream, type AnswerPiece } from './answer-stream.js';
import { encodeChat } from './chat-bytes.js';
import { TEXT_OPTIONS, type GenerateOptions, type GenerateResult } from './options.js';
import type { InSession } from './session.js';
import { askFor, type ToolOptions } from './tool-choice.js';
import { Transcript, type ChatHost, type Turn } from './transcript.js';

/** Options of one answer: those of `generate`, and what the template is told. Those of `lm.chat` are for all answers. */
export interface SayOptions extends InSession<GenerateOptions>, ToolOptions {
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

const SAY_OPTIONS: readonly string[] = [...TEXT_OPTIONS.filter((name) => name !== 'state' && name !== 'prefixCache'), 'toolChoice', 'onProgress'];
export const CHAT_OPTIONS: readonly string[] = [...SAY_OPTIONS, 'system', 'messages'];

/**
 * A conversation with a model, as its chat template has it. All that was read and written stays in a session, so that an answer costs what is new
 * (transcript.ts).
 */
export class Conversation {
  private readonly host: ChatHost;
  private readonly options: ChatOptions;
  private readonly transcript: Transcript;
  private all: readonly ChatMessage[];
  private isAtWork = false;

  /** @internal Use `lm.chat()`, or `lm.openChat(bytes)`. */
  constructor(what: string, host: ChatHost, given: ChatOptions, transcript?: Transcript) {
    const options = givenOptions(what, given, CHAT_OPTIONS);
    const { system, messages = [] } = options;
    if (!Array.isArray(messages)) throw new ArgumentError(`${what}: option messages is ${show(messages)}, not a list`);
    if (system !== undefined && typeof system !== 'string') throw new ArgumentError(`${what}: option system is ${show(system)}, not a text`);
    this.host = host;
    this.options = options;
    this.all = [...(system === undefined ? [] : [{ role: 'system', content: system }]), ...toMessages(what, messages)];
    this.transcript = transcript ?? new Transcript(host, host.session(), turnsOf(this.all), false);
  }

  /** All that was said so far. */
  get messages(): readonly ChatMessage[] {
    return this.all;
  }

  /** Tokens of the conversation, as far as they were read or written. */
  get tokens(): number {
    return this.transcript.session.tokens;
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
    const { system: _system, messages: _messages, tools, enableThinking, templateVariables, toolChoice, onProgress, ...generation } =
      { ...this.options, ...givenOptions(what, options, SAY_OPTIONS) };
    const messages = [...this.all, ...toMessages(what, said)];
    if (messages.length === 0) throw new ArgumentError(`${what}: there are no messages`);
    this.checkIdle(what);
    this.isAtWork = true;
    let written = '';
    let callable: readonly Tool[] | undefined;
    let isDone = false; // also with nothing to say
    let isWhole = false; // the answer that is told is all that was written
    let prompt: { readonly tokens: number; readonly isThinking: boolean } | undefined;
    try {
      const asked = await askFor(what, this.host, messages, { tools, enableThinking, templateVariables, toolChoice }, generation.constraint, generation.eosTokenIds);
      callable = asked.callable;
      prompt = await this.transcript.read(messages, this.all.length, { ...asked.render, constraint: asked.constraint }, { onProgress, signal: generation.signal });
      const stream = new AnswerStream(prompt.isThinking, callable !== undefined);
      const answer = this.transcript.session.generate({ eosTokenIds: this.host.eosTokenIds, ...generation, constraint: asked.constraint });
      try {
        for (;;) {
          const { done, value } = await answer.next();
          if (done) {
            isDone = true;
            isWhole = value.stopString === undefined;
            yield* stream.finish();
            return { ...value, ...parseAnswer(written, prompt.isThinking, callable), promptTokens: prompt.tokens };
          }
          written += value;
          yield* stream.push(value);
        }
      } finally {
        await answer.return(undefined as never);
      }
    } catch (error) {
      throw inNameOf(what, error);
    } finally {
      this.isAtWork = false;
      if (prompt && !isDone && written === '') this.transcript.takeBack(this.transcript.turns.length - 1);
      else if (prompt) {
        this.all = [...messages, messageOf(parseAnswer(written, prompt.isThinking, callable))];
        if (!isWhole) this.transcript.leaveAnswer();
      }
    }
  }

  /** Another conversation that goes on from here. @throws ArgumentError for one at work. */
  fork(): Conversation {
    this.checkIdle('chat.fork');
    const { system: _system, ...options } = this.options;
    return new Conversation('chat.fork', this.host, { ...options, messages: this.all }, this.transcript.fork());
  }

  /** Takes back the last `turns` things that were said, and their answers. @throws ArgumentError for more than there are, or a conversation at work. */
  rewind(turns = 1): void {
    this.checkIdle('chat.rewind');
    const { transcript, transcript: { turns: said } } = this;
    if (!Number.isInteger(turns) || turns < 1 || turns > said.length) throw new ArgumentError(`chat.rewind: turns is ${show(turns)}; there are ${said.length} to take back`);
    const from = said.length - turns;
    this.all = this.all.slice(0, said[from]!.messages);
    transcript.takeBack(from);
  }

  /** The conversation as bytes: `lm.openChat` goes on from them, in another process too. @throws ArgumentError for one at work. */
  save(): Uint8Array {
    this.checkIdle('chat.save');
    const { session, ...saved } = this.transcript.save();
    return encodeChat({ messages: this.all, turns: this.transcript.turns.map(({ messages }) => messages), ...saved }, session);
  }

  /** Lets go of its memory now, and not only when it is garbage-collected. @throws ArgumentError for a conversation at work. */
  dispose(): void {
    this.checkIdle('chat.dispose');
    this.transcript.dispose();
  }

  private checkIdle(what: string): void {
    if (this.isAtWork) throw new ArgumentError(`${what}: the conversation is at work; wait until its answer is there, or fork it before`);
  }
}

/** An error of the session, which the caller knows nothing of. */
export function inNameOf(what: string, error: unknown): unknown {
  if (error instanceof ArgumentError) error.message = error.message.replace(/^(session\.\w+|openSession)(?=: )/, what);
  return error;
}

/** Where somebody said something, in a conversation that is given whole. */
function turnsOf(messages: readonly ChatMessage[]): Turn[] {
  return messages.flatMap(({ role }, n) => (role === 'user' && messages[n - 1]?.role !== 'user' ? [{ messages: n }] : []));
}

function toMessages(what: string, said: string | ChatMessage | readonly ChatMessage[]): readonly ChatMessage[] {
  if (typeof said === 'string') return [{ role: 'user', content: said }];
  const list: unknown[] = Array.isArray(said) ? said : [said];
  for (const message of list) {
    if (!isJsonObject(message) || typeof message['role'] !== 'string') throw new ArgumentError(`${what}: ${show(message)} is no message, which has a role and a content`);
  }
  return list as ChatMessage[];
}
