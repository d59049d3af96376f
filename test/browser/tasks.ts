import type { Tab } from './chromium.js';

const LONG_MS = 50;

interface TraceEvent {
  readonly name: string;
  readonly pid: number;
  readonly tid: number;
  readonly args: { readonly name?: string };
  /** Microseconds that its thread has run, which on a busy machine is less than has passed. */
  readonly tdur?: number;
}

/**
 * Watches the main thread of a tab from now on. PerformanceObserver's `longtask` would count the time of other programs too.
 * @returns what ends it, and returns the milliseconds of each task that took more than 50 of its own time.
 */
export async function watchTasks(tab: Tab): Promise<() => Promise<number[]>> {
  await tab.send('Tracing.start', { transferMode: 'ReturnAsStream', traceConfig: { includedCategories: ['toplevel'] } });
  return async () => {
    const complete = tab.next('Tracing.tracingComplete');
    await tab.send('Tracing.end');
    const { stream: handle } = await complete;
    let text = '';
    for (let isAll = false; !isAll;) {
      const { data, eof } = (await tab.send('IO.read', { handle })) as { data: string; eof: boolean };
      text += data;
      isAll = eof;
    }
    const { traceEvents } = JSON.parse(text) as { traceEvents: readonly TraceEvent[] };
    const mains = new Set(traceEvents.filter(({ name, args }) => name === 'thread_name' && args.name === 'CrRendererMain').map(({ pid, tid }) => `${pid} ${tid}`));
    const tasks = traceEvents.filter(({ name, pid, tid, tdur }) => /RunTask$/.test(name) && tdur !== undefined && mains.has(`${pid} ${tid}`));
    if (tasks.length === 0) throw new Error('the browser has told of no task');
    return tasks.map(({ tdur }) => tdur! / 1000).filter((ms) => ms > LONG_MS);
  };
}
