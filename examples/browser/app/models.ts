import { BackendError, MatMulFreeWorker, SourceError, TokenizerError, type ModelInfo, type ModelSource } from 'matmulfree/worker';
import { announce, element } from './page.js';
import { LoadingBar } from './progress.js';
import { clearTrouble, inPlainWords, showTrouble } from './trouble.js';
import { bytes, count } from './words.js';

export interface LoadedModel {
  readonly lm: MatMulFreeWorker;
  readonly info: ModelInfo;
}

/** A model to load. */
export interface Wish {
  readonly name: string;
  readonly source: ModelSource;
  /** Told when it is there. */
  readonly onLoaded?: () => void;
}

/** The model that comes with the page. */
export const EMBEDDED: Wish = { name: 'tinystories-9m', source: new URL('../models/tinystories-9m.gguf', import.meta.url) };

/** Why a model does without WebAssembly. */
function whyPlain(note = ''): string {
  if (/memory/.test(note)) return 'WebAssembly gets too little memory for this model here; other tabs may hold it';
  if (/wrong/.test(note)) return 'This browser’s WebAssembly computes wrongly';
  return 'WebAssembly is not allowed here, or this browser has none';
}

/** Loads models, one at a time, and shows what is loaded. The one before stays until the next one is there. */
export class Models {
  private readonly onLoaded: (model: LoadedModel, isAgain: boolean) => Promise<void>;
  private readonly bar = new LoadingBar();
  private current: LoadedModel | undefined;
  /** What the current one was loaded from. */
  private wish = EMBEDDED;
  private loading: { readonly controller: AbortController; readonly done: Promise<void> } | undefined;

  /** @param onLoaded lets go of the model before, which ends then. `isAgain`: this is the same one. */
  constructor(onLoaded: (model: LoadedModel, isAgain: boolean) => Promise<void>) {
    this.onLoaded = onLoaded;
    element('loading-cancel').addEventListener('click', () => {
      this.loading?.controller.abort();
      element(element<HTMLDialogElement>('chooser').open ? 'address' : 'model').focus({ preventScroll: true }); // this button is hidden now
    });
  }

  /** The model; waits for the one that is being loaded. Undefined if there is none. */
  async get(): Promise<LoadedModel | undefined> {
    while (this.loading) await this.loading.done;
    return this.current;
  }

  /** The one that is there once more, because its worker has died. */
  reload(): Promise<void> {
    return this.load(this.wish, this.current !== undefined);
  }

  /** What fails is told on the page, and may be tried again. */
  async load(wish: Wish, isAgain = false): Promise<void> {
    this.loading?.controller.abort();
    const controller = new AbortController();
    const done = this.open(wish, isAgain, controller.signal);
    const loading = { controller, done };
    this.loading = loading;
    await done;
    if (this.loading === loading) this.loading = undefined;
  }

  private async open(wish: Wish, isAgain: boolean, signal: AbortSignal): Promise<void> {
    const { name, source, onLoaded } = wish;
    clearTrouble();
    this.bar.start(name);
    let lm: MatMulFreeWorker | undefined;
    try {
      lm = await MatMulFreeWorker.load(source, { signal, onProgress: (progress) => this.bar.show(progress) });
      if (!lm.hasTokenizer) throw new TokenizerError(`${name}: has no tokenizer`);
      const info = await lm.info();
      signal.throwIfAborted();
      const before = this.current;
      this.current = { lm, info };
      this.wish = { name, source };
      await this.onLoaded(this.current, isAgain);
      before?.lm.dispose();
      this.bar.end();
      onLoaded?.();
      this.describe(name);
    } catch (error) {
      lm?.dispose();
      if (signal.aborted && this.loading?.controller.signal !== signal) return; // another one is being loaded
      this.bar.end();
      if (signal.aborted) return announce('Cancelled.');
      const mayPass = error instanceof SourceError || error instanceof BackendError; // a file stays as it is
      showTrouble(inPlainWords(error), mayPass ? () => void this.load(wish, isAgain) : undefined);
    }
  }

  private describe(name: string): void {
    const { lm, info } = this.current!;
    element('model-name').textContent = name;
    const threads = lm.threads === 1 ? 'one thread' : `${lm.threads} threads`;
    const backend = { dot: 'WebAssembly, dot products', relaxed: 'WebAssembly, relaxed SIMD', simd: 'WebAssembly, SIMD', scalar: 'plain JavaScript' }[lm.backend];
    const reasons = [
      lm.backend === 'scalar' ? `${whyPlain(info.backendNote)}: that is some five times slower.` : '',
      lm.backend !== 'scalar' && !crossOriginIsolated ? 'More threads need a server that isolates the page.' : '',
    ].filter((reason) => reason !== '');
    element('runs-on').textContent = [
      `${backend}, ${threads}.`, `${count(info.parameters)} parameters in ${bytes(info.memoryBytes)}.`, ...reasons,
    ].join(' ');
    announce(`${name} is ready.`);
  }
}
