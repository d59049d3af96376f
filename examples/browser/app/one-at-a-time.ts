/** Does one thing at a time, the one that was asked for last: what is under way is stopped before. */
export class OneAtATime {
  private readonly onChange: () => void;
  private running: { readonly controller: AbortController; readonly ended: Promise<void> } | undefined;

  /** @param onChange told when something begins, and when it has ended. */
  constructor(onChange: () => void) {
    this.onChange = onChange;
  }

  get isWorking(): boolean {
    return this.running !== undefined;
  }

  /** Ends what is done, and waits for that. */
  async stop(): Promise<void> {
    this.running?.controller.abort();
    await this.running?.ended;
  }

  /** @param work tells itself what goes wrong: it does not reject. */
  async run(work: (controller: AbortController) => Promise<void>): Promise<void> {
    while (this.running) await this.stop();
    const controller = new AbortController();
    this.running = { controller, ended: work(controller).then(() => { this.running = undefined; }) };
    this.onChange();
    await this.running.ended;
    this.onChange();
  }
}
