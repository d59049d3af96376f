import {
  ArgumentError, type AnswerPiece, type ChatMessage, type ChatResult, type MatMulFreeWorker, type WorkerChat, type WorkerSayOptions,
} from 'matmulfree/worker';
import type { Meter } from './meter.js';
import type { TokenTime } from './times.js';

/** A piece of an answer, and how long it took. */
export type TimedPiece = AnswerPiece & TokenTime;

/** What became of an answer. */
export interface Answered {
  /** As the model has it, without its thought; undefined if nothing was written, and what was said is taken back. */
  readonly text: string | undefined;
  /** Undefined if it was stopped. */
  readonly result: ChatResult | undefined;
}

const WARM_UP = 16;

/** A conversation with a model. The page uses no other part of it, so this is the place to see how conversations in `matmulfree/worker` are used. */
export class Dialogue {
  private readonly lm: MatMulFreeWorker;
  private chat: WorkerChat;
  /** Known here as well, for when the worker has died. */
  private messages: readonly ChatMessage[] = [];

  private constructor(lm: MatMulFreeWorker, chat: WorkerChat) {
    this.lm = lm;
    this.chat = chat;
  }

  /** @param system what the model is told before all else; '' for nothing. */
  static async begin(lm: MatMulFreeWorker, system: string): Promise<Dialogue> {
    return Dialogue.of(lm, await lm.chat(system === '' ? {} : { system }));
  }

  private static async of(lm: MatMulFreeWorker, chat: WorkerChat): Promise<Dialogue> {
    const made = new Dialogue(lm, chat);
    made.messages = await chat.messages();
    return made;
  }

  /** The same conversation with the same model, loaded once more. It is read again when something is said. */
  async moveTo(lm: MatMulFreeWorker): Promise<Dialogue> {
    return Dialogue.of(lm, await lm.chat({ messages: this.messages }));
  }

  /** How long its text is. */
  tokens(): Promise<number> {
    return this.chat.tokens();
  }

  /** Says something. What is written until it is stopped is part of the conversation. */
  async say(text: string, options: WorkerSayOptions, onPiece: (piece: TimedPiece) => void, meter: Meter, signal: AbortSignal): Promise<Answered> {
    const before = this.messages.length;
    const pieces = this.chat.sayPieces(text, { ...options, signal });
    let result: ChatResult | undefined;
    try {
      for (let taken = 0; ; taken++) {
        const { done, value } = await meter.time(() => pieces.next());
        if (done) {
          result = value;
          break;
        }
        onPiece({ ...value, ms: meter.take(), isWarmUp: taken < WARM_UP });
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    }
    this.messages = await this.chat.messages();
    return { text: this.messages.length > before ? String(this.messages.at(-1)!.content) : undefined, result };
  }

  /** The same conversation once more, without what was said last and its answer. */
  async another(): Promise<Dialogue> {
    const other = await Dialogue.of(this.lm, await this.chat.fork());
    await other.takeBack(1);
    return other;
  }

  /** Takes back what was said, so many times, and the answers. */
  async takeBack(times: number): Promise<void> {
    const said = this.messages.flatMap(({ role }, at) => (role === 'user' ? [at] : []));
    try {
      await this.chat.rewind(times);
    } catch (error) {
      if (!(error instanceof ArgumentError)) throw error;
      // No place to go back to is known in a conversation that was read again. So all before is read once more.
      const { chat } = this;
      this.chat = await this.lm.chat({ messages: this.messages.slice(0, said.at(-times)) });
      chat.dispose();
    }
    this.messages = await this.chat.messages();
  }

  dispose(): void {
    this.chat.dispose();
  }
}
