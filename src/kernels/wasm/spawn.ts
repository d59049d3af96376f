import { nodeThreads } from '../../platform/threads.js';

/** A worker thread that runs one function of a WebAssembly module. */
export interface Thread {
  /** Hands over the work. Called once. */
  post(work: ThreadWork): void;
  /** Ends it at once. */
  end(): void;
}

/** What a thread does: it makes an instance of `module` on `memory` and calls its export `worker(thread, spins)`. */
export interface ThreadWork {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  readonly thread: number;
  readonly spins: number;
}

/** What a thread says when it is ready for its work. */
export const READY = 'matmulfree thread ready';

/** kernel-thread.ts as a text, for Node's worker threads, and for pages where that file cannot be had. */
const THREAD_PROGRAM = `
const node = globalThis.process?.getBuiltinModule?.('node:worker_threads');
const port = node?.parentPort ?? globalThis;
const receive = (data) => {
  const { module, memory, thread, spins } = data;
  new WebAssembly.Instance(module, { env: { memory } }).exports.worker(thread, spins);
  port.close();
};
if (node) port.once('message', receive);
else port.onmessage = (event) => receive(event.data);
port.postMessage('${READY}');
`;

/**
 * Starts a thread. It does not keep a Node process alive.
 * @param onEnd called when it ends by itself or fails, with the reason.
 * @returns undefined where there are no workers, or no shared memory for them.
 */
export async function spawnThread(onEnd: (reason: string) => void): Promise<Thread | undefined> {
  if (typeof SharedArrayBuffer === 'undefined') return undefined;
  const node = nodeThreads();
  try {
    return node ? await spawnNodeThread(node, onEnd) : await spawnWebThread(onEnd);
  } catch {
    return undefined;
  }
}

async function spawnNodeThread({ Worker }: NonNullable<ReturnType<typeof nodeThreads>>, onEnd: (reason: string) => void): Promise<Thread> {
  // Options of the program, such as loaders, would only slow the start. The heap stays almost empty; and V8 ends the whole process where
  // it cannot reserve address space for a thread's own code, of which it wants half a GiB.
  const worker = new Worker(THREAD_PROGRAM, {
    eval: true, execArgv: [], resourceLimits: { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 4, codeRangeSizeMb: 16 },
  });
  let reason = 'it was terminated';
  worker.on('error', (error) => { reason = error.message; });
  worker.on('exit', () => onEnd(reason));
  await new Promise<void>((resolve, reject) => {
    worker.once('message', () => resolve());
    worker.once('exit', () => reject(new Error(reason)));
  });
  worker.unref();
  return { post: (work) => worker.postMessage(work), end: () => void worker.terminate() };
}

async function spawnWebThread(onEnd: (reason: string) => void): Promise<Thread> {
  const worker = await webWorker().catch(textWorker);
  worker.onerror = (event) => onEnd(event.message);
  return { post: (work) => worker.postMessage(work), end: () => worker.terminate() };
}

/** From its file, which is how a strict Content-Security-Policy wants it. Bundlers know this form, and bundle the file too. */
function webWorker(): Promise<Worker> {
  return ready(() => new Worker(new URL('./kernel-thread.js', import.meta.url), { type: 'module' }));
}

/** Where the file is on another origin, was left behind by a bundler, or comes without the headers of isolated pages. */
async function textWorker(): Promise<Worker> {
  const url = URL.createObjectURL(new Blob([THREAD_PROGRAM], { type: 'text/javascript' }));
  try {
    return await ready(() => new Worker(url));
  } finally {
    URL.revokeObjectURL(url);
  }
}

function ready(start: () => Worker): Promise<Worker> {
  return new Promise((resolve, reject) => {
    const worker = start();
    const refuse = (event: Event): void => {
      worker.terminate();
      reject(new Error((event as ErrorEvent).message));
    };
    worker.onmessage = (event) => (event.data === READY ? resolve(worker) : refuse(event));
    worker.onerror = refuse;
  });
}
