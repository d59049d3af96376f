import type { ChatFormat } from '../chat/format.js';
import type { ChatMessage } from '../chat/messages.js';
import { textOf } from '../chat/piece-text.js';
import type { PageKeeper } from '../model/pages.js';
import type { Tokenizer } from '../tokenizer/tokenizer.js';
import { answerPrompt, type AnswerOptions } from './answer-prompt.js';
import { encodeRendered } from './chat-ids.js';
import type { AppendOptions, Session, SessionMark } from './session.js';

/** What a conversation needs of its model. */
export interface ChatHost {
  readonly tokenizer: Tokenizer;
  readonly format: ChatFormat;
  /** Ids that end an answer. */
  readonly eosTokenIds: readonly number[];
  session(): Session;
  /** `keeper` is asked for memory when there is too little for keys and values. */
  askUnderPressure(keeper: PageKeeper): void;
}

/** The conversation up to what somebody said. */
export interface Turn {
  /** How many messages there were before. */
  readonly messages: number;
  /** Ids of the rendered conversation with what was said, without the beginning of an answer; undefined until it is read. */
  readonly rendered?: readonly number[] | undefined;
  /** The session there, and before it was read, for the last turns. */
  readonly mark?: SessionMark | undefined;
  readonly before?: SessionMark | undefined;
  /** Whether the session had all up to the end of the last answer before, and nothing else. */
  readonly wasWhole?: boolean | undefined;
}

/** So many turns can be taken back without reading anything again. A mark may take a page of keys and values of its own. */
const MARKED_TURNS = 3;
/** Stands for an answer, to find what comes behind it. No text has this character. */
const PLACEHOLDER = '\u{10FFFE}';

/**
 * What a session has of a conversation. It is read on from where it was; where the template shows the past in another way (it leaves out a thought, or a
 * message is another one), it is read again from there.
 */
export class Transcript implements PageKeeper {
  private readonly host: ChatHost;
  private ofSession: Session;
  private list: readonly Turn[];
  /** Whether the session has all up to the end of the last answer, and nothing else. */
  private isWhole: boolean;

  /** @param isWhole whether `session` has the conversation with all its turns. */
  constructor(host: ChatHost, session: Session, turns: readonly Turn[], isWhole: boolean) {
    this.host = host;
    this.ofSession = session;
    this.list = turns;
    this.isWhole = isWhole;
    host.askUnderPressure(this);
  }

  get session(): Session {
    return this.ofSession;
  }

  get turns(): readonly Turn[] {
    return this.list;
  }

  /** The session has more than the last answer, such as a stop string that was found: the answer is read again when the conversation goes on. */
  leaveAnswer(): void {
    this.isWhole = false;
  }

  /** The session as bytes, up to the end of the last answer, or else up to the last thing that was said; and which ids of the rendered conversation it has. */
  save(): { readonly session: Uint8Array; readonly rendered: readonly number[]; readonly isWhole: boolean } {
    const { session, isWhole } = this;
    const { rendered = [], mark } = this.list.at(-1) ?? {};
    if (isWhole || !mark) return { session: session.save(), rendered: isWhole ? rendered : [], isWhole };
    const saved = session.fork();
    saved.rewind(mark);
    const bytes = saved.save();
    saved.dispose();
    return { session: bytes, rendered, isWhole };
  }

  /** An independent one that goes on from here. */
  fork(): Transcript {
    const session = this.session.fork();
    const spare = session.fork();
    const copy = (mark: SessionMark | undefined): SessionMark | undefined => {
      if (!mark) return undefined;
      spare.rewind(mark);
      return spare.mark();
    };
    const turns = this.list.map((turn) => ({ ...turn, mark: copy(turn.mark), before: copy(turn.before) }));
    spare.dispose();
    return new Transcript(this.host, session, turns, this.isWhole);
  }

  /**
   * Reads what is new of a conversation that ends with what somebody said, and the beginning of an answer.
   * @param known how many of the messages were there before.
   */
  async read(messages: readonly ChatMessage[], known: number, asked: AnswerOptions, options: AppendOptions): Promise<{ tokens: number; isThinking: boolean }> {
    const { format, tokenizer } = this.host;
    const rendered = encodeRendered(tokenizer, format.render(messages, { ...asked, addGenerationPrompt: false }), true);
    const { pieces, isThinking } = answerPrompt(format, messages, asked);
    const whole = encodeRendered(tokenizer, pieces, true);
    const text = textOf(pieces);
    const before = this.session.tokens > 0 ? this.session.mark() : undefined;
    const { list: turns, isWhole } = this;
    let kept = turns.length - 1;
    while (kept >= 0 && !startsWith(whole, turns[kept]!.rendered)) kept--;
    const { mark, rendered: start = [] } = turns[kept] ?? {};
    try {
      let ids = isWhole && kept >= 0 && kept === turns.length - 1 ? this.behindAnswer(messages, known - 1, asked, text) : undefined;
      if (!ids) {
        ids = mark ? whole.slice(start.length) : whole;
        this.goTo(mark);
      }
      this.isWhole = false;
      const read = this.session.tokens;
      // The place behind what was said is one to come back to, if the beginning of an answer is tokens of its own.
      const tail = startsWith(whole, rendered) ? whole.length - rendered.length : 0;
      await this.session.append(ids.slice(0, ids.length - tail), options);
      this.keep([...this.list, { messages: known, rendered: tail > 0 ? rendered : whole, mark: this.session.mark() }]);
      await this.session.append(ids.slice(ids.length - tail), { signal: options.signal });
      this.list = this.list.map((turn, n) => (n < turns.length ? turn : { ...turn, before, wasWhole: isWhole }));
      this.isWhole = true;
      return { tokens: this.session.tokens - read, isThinking };
    } catch (error) {
      this.list.slice(turns.length).forEach(forget);
      this.list = this.list.slice(0, turns.length);
      this.goTo(before);
      this.isWhole = isWhole;
      before?.dispose();
      throw error;
    }
  }

  /** Takes back all from a turn on. */
  takeBack(from: number): void {
    const { before, wasWhole = false } = this.list[from]!;
    this.goTo(before);
    this.isWhole = before !== undefined && wasWhole;
    this.list.slice(from).forEach(forget);
    this.list = this.list.slice(0, from);
  }

  /** Without a mark, what it stands for is read again when it is needed. */
  evict(): boolean {
    const at = this.list.findIndex(({ mark, before }) => mark ?? before);
    if (at < 0) return false;
    forget(this.list[at]!);
    this.list = this.list.map((turn, n) => (n === at ? withoutMarks(turn) : turn));
    return true;
  }

  dispose(): void {
    this.list.forEach(forget);
    this.list = [];
    this.session.dispose();
  }

  /** Takes note of turns, the last ones with their marks. */
  private keep(turns: readonly Turn[]): void {
    const old = turns.length - MARKED_TURNS;
    turns.slice(0, Math.max(old, 0)).forEach(forget);
    this.list = turns.map((turn, n) => (n < old ? withoutMarks(turn) : turn));
  }

  /**
   * Ids of what comes behind the last answer, which the session has as it was written. Undefined where the template shows that answer in another way: with a
   * thought left out, or calls, or without the spaces around it, as Llama 3's has it.
   * @param at the message that is the answer.
   * @param text the prompt, as the template has it.
   */
  private behindAnswer(messages: readonly ChatMessage[], at: number, asked: AnswerOptions, text: string): number[] | undefined {
    const answer = messages[at];
    if (answer?.role !== 'assistant' || answer.tool_calls || answer.reasoning_content) return undefined;
    const { format, tokenizer } = this.host;
    const { pieces } = answerPrompt(format, messages.map((message, n) => (n === at ? { role: 'assistant', content: PLACEHOLDER } : message)), asked);
    if (textOf(pieces).replaceAll(PLACEHOLDER, () => String(answer.content ?? '')) !== text) return undefined;
    const [first, ...others] = pieces.slice(pieces.findIndex(({ text }) => text.includes(PLACEHOLDER)));
    const [, behind, more] = first?.text.split(PLACEHOLDER) ?? [];
    if (behind === undefined || more !== undefined || others.some(({ text }) => text.includes(PLACEHOLDER))) return undefined;
    return encodeRendered(tokenizer, [{ ...first!, text: behind }, ...others], false);
  }

  private goTo(mark: SessionMark | undefined): void {
    if (mark) return this.session.rewind(mark);
    const { session } = this;
    this.ofSession = this.host.session();
    session.dispose();
  }
}

function forget({ mark, before }: Turn): void {
  mark?.dispose();
  before?.dispose();
}

function withoutMarks({ messages, rendered }: Turn): Turn {
  return { messages, rendered };
}

function startsWith(ids: readonly number[], start: readonly number[] | undefined): boolean {
  return start !== undefined && start.length <= ids.length && start.every((id, n) => ids[n] === id);
}
