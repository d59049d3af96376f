import type { GenerateResult, MatMulFreeWorker } from 'matmulfree/worker';
import { showBranches } from './branches.js';
import type { Meter } from './meter.js';
import { OneAtATime } from './one-at-a-time.js';
import { announce, create, element } from './page.js';
import { Passage } from './passage.js';
import { Pen } from './pen.js';
import { Strand, type Token, type WriteOptions } from './strand.js';

/** How to write, from the controls. */
export interface Writing {
  /** Of two stories that are written at the same time, the second one has the next seed. */
  readonly options: WriteOptions & { readonly seed: number; readonly maxNewTokens: number };
  /** Tokens a second that the pen writes, at most. */
  readonly pace: number;
}

export interface StoryEvents {
  /** Writing has begun or ended, or the story was forked, or is one again. */
  onChange(): void;
  onTokens(strand: Strand, tokens: readonly Token[]): void;
  /** All has been written, or was stopped (undefined). */
  onEnd(results: readonly (GenerateResult | undefined)[]): void;
  onError(error: unknown): void;
}

const BRANCHES = ['One way on', 'Another way on'];

/** The story on the page: a beginning, what the model wrote, and from a fork on two ways on, side by side. */
export class Story {
  private readonly events: StoryEvents;
  private readonly meter: Meter;
  private readonly trunk = new Passage(element('trunk'));
  private readonly side = element('branches');
  private branches: Passage[] = [];
  private strands: Strand[] = [];
  private readonly work: OneAtATime;

  constructor(meter: Meter, events: StoryEvents) {
    this.meter = meter;
    this.events = events;
    this.work = new OneAtATime(() => events.onChange());
  }

  get isWriting(): boolean {
    return this.work.isWorking;
  }

  get isEmpty(): boolean {
    return this.strands.length === 0;
  }

  get isForked(): boolean {
    return this.branches.length > 0;
  }

  get passages(): readonly Passage[] {
    return [this.trunk, ...this.branches];
  }

  /** The model has ended all that there is of it. */
  get hasEnded(): boolean {
    return !this.isEmpty && this.strands.every((strand) => strand.hasEnded);
  }

  /** What goes on with "Continue": a way on that has ended only where no other is left. */
  get unfinished(): readonly Strand[] {
    return this.hasEnded ? this.strands : this.strands.filter((strand) => !strand.hasEnded);
  }

  /** The longest one. */
  get strand(): Strand | undefined {
    return [...this.strands].sort((a, b) => b.tokens.length - a.tokens.length)[0];
  }

  tokenAt(passage: Passage, index: number): Token | undefined {
    return this.strands[Math.max(0, this.branches.indexOf(passage))]?.tokens[index];
  }

  /** Forgets everything. */
  async clear(): Promise<void> {
    await this.stop();
    this.reset();
    this.events.onChange();
  }

  /** Goes on with the same model, loaded once more, because its worker has died. */
  async moveTo(lm: MatMulFreeWorker): Promise<void> {
    await this.stop();
    this.strands = await Promise.all(this.strands.map((strand) => strand.moveTo(lm)));
    this.events.onChange();
  }

  async begin(lm: MatMulFreeWorker, beginning: string, writing: Writing): Promise<void> {
    await this.run(async (signal) => {
      this.reset();
      this.strands = [await Strand.begin(lm, beginning, signal)];
      return this.write(writing, signal);
    });
  }

  /** Writes on what is unfinished. */
  async goOn(writing: Writing): Promise<void> {
    await this.run((signal) => this.write(writing, signal));
  }

  /**
   * Two ways on: from where the story is, both of them from one saved state; if it has ended, from its middle, as after its end there
   * is seldom a story.
   */
  async fork(writing: Writing): Promise<void> {
    await this.run(async (signal) => {
      const [strand] = this.strands;
      if (!strand || this.isForked) return [];
      if (strand.hasEnded) return this.forkFrom(strand, strand.middle, writing, signal);
      this.split(strand, await strand.fork());
      return this.write(writing, signal);
    });
  }

  /**
   * What there is of the story stays, and a second one begins with another token at `index`. In one of two ways on, this one is kept.
   * @param token its id, if it is to be this one.
   */
  async forkAt(passage: Passage, index: number, token: number | undefined, writing: Writing): Promise<void> {
    await this.run(async (signal) => {
      if (this.branches.includes(passage)) this.keep(this.branches.indexOf(passage));
      const [strand] = this.strands;
      if (!strand || this.isForked) return [];
      const options = { ...writing.options, forcedTokens: token === undefined ? [] : [token] };
      return this.forkFrom(strand, index, { ...writing, options }, signal);
    });
  }

  private async forkFrom(strand: Strand, index: number, writing: Writing, signal: AbortSignal): Promise<readonly (GenerateResult | undefined)[]> {
    const other = await strand.fork(index);
    this.split(strand, other);
    return [await this.writeOne(other, writing, signal)];
  }

  /** One of the two ways on is the story, and the other one is not. */
  keep(branch: number): void {
    const strand = this.strands[branch];
    if (!strand || !this.isForked) return;
    this.strands = [strand];
    this.join();
    this.trunk.add(strand.tokens.slice(this.trunk.end));
    this.events.onChange();
  }

  /** Ends the writing, and waits for it. What is on the page stays. */
  stop(): Promise<void> {
    return this.work.stop();
  }

  private run(work: (signal: AbortSignal) => Promise<readonly (GenerateResult | undefined)[]>): Promise<void> {
    return this.work.run(async (controller) => {
      try {
        this.events.onEnd(await work(controller.signal));
      } catch (error) {
        if (controller.signal.aborted) return this.events.onEnd([]);
        controller.abort(); // the other way on
        this.events.onError(error);
      }
    });
  }

  private write(writing: Writing, signal: AbortSignal): Promise<readonly (GenerateResult | undefined)[]> {
    return Promise.all(this.unfinished.map((strand) => {
      const seed = (writing.options.seed + this.strands.indexOf(strand)) % Number.MAX_SAFE_INTEGER;
      return this.writeOne(strand, { ...writing, options: { ...writing.options, seed } }, signal);
    }));
  }

  /** Where a strand's words are added. */
  passageOf(strand: Strand): Passage {
    return this.branches[this.strands.indexOf(strand)] ?? this.trunk;
  }

  private writeOne(strand: Strand, { options, pace }: Writing, signal: AbortSignal): Promise<GenerateResult | undefined> {
    const passage = this.passageOf(strand);
    const pen = new Pen(pace, (tokens) => {
      strand.tokens.push(...tokens);
      passage.add(tokens, Number.isFinite(pace));
      this.events.onTokens(strand, tokens);
    }, signal);
    return strand.write(options, pen, this.meter, signal);
  }

  /** The first strand goes on to the left, from where the second one ends. */
  private split(strand: Strand, other: Strand): void {
    const at = other.tokens.length;
    this.trunk.cut(at);
    this.strands = [strand, other];
    const texts = BRANCHES.map(() => create('div'));
    showBranches(this.side, BRANCHES, texts, (n) => {
      element('story').focus({ preventScroll: true }); // this button will be gone
      void this.stop().then(() => {
        this.keep(n);
        announce(`${BRANCHES[n]!} is kept.`);
      });
    });
    this.branches = texts.map((text) => new Passage(text, at));
    this.branches[0]!.add(strand.tokens.slice(at));
    this.events.onChange();
  }

  private reset(): void {
    this.strands = [];
    this.join();
    this.trunk.cut(0);
  }

  private join(): void {
    this.branches = [];
    this.side.replaceChildren();
    this.side.hidden = true;
  }
}
