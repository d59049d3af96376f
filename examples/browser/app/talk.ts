import type { MatMulFreeWorker, WorkerSayOptions } from 'matmulfree/worker';
import type { AnswerView } from './answer.js';
import { Dialogue, type Answered, type TimedPiece } from './dialogue.js';
import { BRANCHES, Exchange } from './exchange.js';
import type { Meter } from './meter.js';
import { OneAtATime } from './one-at-a-time.js';
import { announce, element } from './page.js';

/** How to answer, from the controls. */
export type Answering = WorkerSayOptions & { readonly maxNewTokens: number };

export interface TalkEvents {
  /** An answer has begun or ended, or the conversation was changed. */
  onChange(): void;
  /** @param tokens length of the conversation with this piece. */
  onPiece(piece: TimedPiece, tokens: number, view: AnswerView): void;
  onEnd(answered: Answered, view: AnswerView, tokens: number): void;
  /** The conversation is shorter than before. */
  onCut(): void;
  /** Nothing was written when it was stopped: what was said is taken back. */
  onTakenBack(said: string): void;
  onError(error: unknown): void;
  /** Settings of an answer that is asked for. */
  settings(): Answering;
}

/** The conversation on the page: what was said and answered, and at its end, where that is wanted, two answers side by side. */
export class Talk {
  private readonly events: TalkEvents;
  private readonly meter: Meter;
  private readonly work: OneAtATime;
  private readonly list = element('chat');
  private exchanges: Exchange[] = [];
  /** One, or one for each of two answers. */
  private dialogues: Dialogue[] = [];

  constructor(meter: Meter, events: TalkEvents) {
    this.meter = meter;
    this.events = events;
    this.work = new OneAtATime(() => this.showState());
  }

  get isWriting(): boolean {
    return this.work.isWorking;
  }

  get isEmpty(): boolean {
    return this.exchanges.length === 0;
  }

  get isForked(): boolean {
    return this.exchanges.at(-1)?.isForked ?? false;
  }

  /** Forgets everything. */
  async clear(): Promise<void> {
    await this.stop();
    for (const dialogue of this.dialogues) dialogue.dispose();
    this.dialogues = [];
    this.cut(0);
    this.showState();
  }

  /** Goes on with the same model, loaded once more, because its worker has died. */
  async moveTo(lm: MatMulFreeWorker): Promise<void> {
    await this.stop();
    this.dialogues = await Promise.all(this.dialogues.map((dialogue) => dialogue.moveTo(lm)));
    this.showState();
  }

  /** Ends the answer. What is on the page stays. */
  stop(): Promise<void> {
    return this.work.stop();
  }

  /** @param system what the model is told before all else. */
  say(lm: MatMulFreeWorker, system: string, text: string): Promise<void> {
    return this.run(async (signal) => {
      this.dialogues[0] ??= await Dialogue.begin(lm, system);
      await this.sayNext(text, signal);
    });
  }

  private async sayNext(text: string, signal: AbortSignal): Promise<void> {
    const [dialogue] = this.dialogues;
    const exchange = new Exchange(text, {
      onEdit: (at, instead) => void this.edit(at, instead),
      onFork: () => void this.fork(),
      onKeep: (_, answer) => this.keep(answer),
    });
    this.exchanges.push(exchange);
    this.list.append(exchange.element);
    exchange.element.scrollIntoView({ block: 'nearest' });
    this.showState();
    const isWritten = await this.answer(dialogue!, exchange, signal).catch((error: unknown) => {
      this.cut(this.exchanges.length - 1);
      this.events.onTakenBack(text);
      throw error;
    });
    if (isWritten) return;
    this.cut(this.exchanges.length - 1);
    this.events.onTakenBack(text);
  }

  /** Says something else in place of what was said there; what came after it is forgotten. */
  private edit(exchange: Exchange, text: string): Promise<void> {
    return this.run(async (signal) => {
      if (this.isForked) this.keepOne(0);
      const at = this.exchanges.indexOf(exchange);
      await this.dialogues[0]!.takeBack(this.exchanges.length - at);
      this.cut(at);
      this.events.onCut();
      await this.sayNext(text, signal);
    });
  }

  /** Another answer to what was said last, beside the one that is there. */
  private fork(): Promise<void> {
    return this.run(async (signal) => {
      const exchange = this.exchanges.at(-1)!;
      const other = await this.dialogues[0]!.another();
      this.dialogues.push(other);
      const isWritten = await this.answer(other, exchange, signal).catch((error: unknown) => {
        this.keepOne(0);
        throw error;
      });
      if (!isWritten) this.keepOne(0);
    });
  }

  private keep(answer: number): void {
    void this.stop().then(() => {
      if (!this.isForked) return; // the second one had nothing yet
      this.keepOne(answer);
      announce(`${BRANCHES[answer]!} is kept.`);
      this.showState();
    });
  }

  private keepOne(answer: number): void {
    this.exchanges.at(-1)!.keep(answer);
    const kept = this.dialogues[answer]!;
    for (const dialogue of this.dialogues) if (dialogue !== kept) dialogue.dispose();
    this.dialogues = [kept];
  }

  /** @returns whether anything was written. */
  private async answer(dialogue: Dialogue, exchange: Exchange, signal: AbortSignal): Promise<boolean> {
    const options = this.events.settings();
    const view = exchange.addAnswer();
    let tokens: number | undefined;
    const onPiece = (piece: TimedPiece): void => {
      view.add(piece);
      if (tokens === undefined) void dialogue.tokens().then((count) => { tokens = count; }, () => undefined); // an error is told where the answer is awaited
      else this.events.onPiece(piece, ++tokens, view);
    };
    const answered = await dialogue.say(exchange.said, options, onPiece, this.meter, signal);
    if (answered.text === undefined) return false;
    view.finish(answered, options.maxNewTokens);
    this.events.onEnd(answered, view, await dialogue.tokens());
    return true;
  }

  private cut(from: number): void {
    for (const { element } of this.exchanges.splice(from)) element.remove();
  }

  private run(work: (signal: AbortSignal) => Promise<void>): Promise<void> {
    return this.work.run(async ({ signal }) => {
      try {
        await work(signal);
      } catch (error) {
        if (!signal.aborted) this.events.onError(error);
      }
    });
  }

  private showState(): void {
    for (const [n, exchange] of this.exchanges.entries()) {
      exchange.isBusy = this.isWriting;
      exchange.isLast = n === this.exchanges.length - 1 && !this.isWriting;
    }
    this.list.ariaBusy = String(this.isWriting);
    this.events.onChange();
  }
}
