import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { endWithThisProcess, killGroup } from './processes.js';

/** Where a Chromium may be; CHROMIUM names another, or '' none. */
const PLACES = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome', '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome'];

export const CHROMIUM = process.env['CHROMIUM'] ?? PLACES.find((place) => existsSync(place)) ?? '';
export const NO_BROWSER = CHROMIUM === '' ? ' (skipped: no Chromium is installed here)' : '';

const FLAGS = [
  '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update',
  '--disable-sync', '--disable-breakpad', '--disable-crash-reporter', '--disable-dev-shm-usage', '--remote-debugging-pipe',
];
const START_MS = 30_000;
const CLOSE_MS = 5_000;

/** A headless browser, spoken to by the DevTools protocol through two pipes: no port, and it ends when its parent does. */
export interface Chromium {
  /** Such as "Chrome/140.0.7339.80". */
  readonly version: string;
  openTab(): Promise<Tab>;
  close(): Promise<void>;
}

export interface Tab {
  /** What the page has written to its console, its uncaught errors, and what the browser says of it. */
  readonly log: string[];
  /** A command of the DevTools protocol for this tab. */
  send(method: string, params?: object): Promise<Record<string, unknown>>;
  /** What comes with its next event of this name. */
  next(event: string): Promise<Record<string, unknown>>;
  close(): Promise<void>;
}

interface Message {
  readonly id?: number;
  readonly method?: string;
  readonly params?: Record<string, unknown>;
  readonly result?: Record<string, unknown>;
  readonly error?: { readonly message: string };
  readonly sessionId?: string;
}

/** Starts a browser with a new, empty profile. */
export async function startChromium(flags: readonly string[] = []): Promise<Chromium> {
  const profile = await mkdtemp(join(tmpdir(), 'matmulfree-chromium-'));
  const child = spawn(CHROMIUM, [...FLAGS, ...flags, `--user-data-dir=${profile}`, 'about:blank'], {
    detached: true, stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'],
  });
  endWithThisProcess(child);
  let isRunning = true;
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()).once('error', () => resolve()));
  const [commands, replies] = [child.stdio[3] as Writable, child.stdio[4] as Readable];
  const waiting = new Map<number, { resolve(result: Record<string, unknown>): void; reject(error: Error): void }>();
  const sessions = new Map<string, (message: Message) => void>();
  let count = 0;
  void ended.then(() => {
    isRunning = false;
    for (const { reject } of waiting.values()) reject(new Error('the browser has ended'));
  });
  commands.on('error', () => undefined); // it has ended, which is told above

  const send = (method: string, params: object = {}, sessionId?: string): Promise<Record<string, unknown>> =>
    new Promise((resolve, reject) => {
      const id = ++count;
      waiting.set(id, { resolve, reject });
      if (!isRunning) reject(new Error('the browser has ended'));
      else commands.write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
    });
  const receive = (message: Message): void => {
    const asked = message.id === undefined ? undefined : waiting.get(message.id);
    if (!asked) return sessions.get(message.sessionId ?? '')?.(message);
    waiting.delete(message.id!);
    if (message.error) asked.reject(new Error(message.error.message));
    else asked.resolve(message.result ?? {});
  };
  let begun: string[] = []; // parts of a message, which may have megabytes
  replies.setEncoding('utf8').on('data', (text: string) => {
    const [first, ...others] = text.split('\0') as [string, ...string[]];
    begun.push(first);
    for (const next of others) {
      receive(JSON.parse(begun.join('')) as Message);
      begun = [next];
    }
  });

  const close = async (): Promise<void> => {
    void send('Browser.close').catch(() => undefined);
    const timer = setTimeout(() => killGroup(child), CLOSE_MS);
    await ended;
    clearTimeout(timer);
    killGroup(child); // what it may have left behind
    await rm(profile, { recursive: true, force: true, maxRetries: 5 });
  };

  async function openTab(): Promise<Tab> {
    const { targetId } = await send('Target.createTarget', { url: 'about:blank' });
    const { sessionId } = await send('Target.attachToTarget', { targetId, flatten: true });
    const log: string[] = [];
    const awaited = new Map<string, (params: Record<string, unknown>) => void>();
    sessions.set(String(sessionId), (message) => {
      logEvent(log, message);
      awaited.get(message.method!)?.(message.params!);
    });
    const tab: Tab = {
      log,
      send: (method, params) => send(method, params, String(sessionId)),
      next: (event) => new Promise((resolve) => awaited.set(event, resolve)),
      async close() {
        sessions.delete(String(sessionId));
        await send('Target.closeTarget', { targetId });
      },
    };
    await Promise.all(['Runtime.enable', 'Log.enable', 'Page.enable'].map((method) => tab.send(method)));
    return tab;
  }

  const timer = setTimeout(() => killGroup(child), START_MS);
  try {
    return { version: String((await send('Browser.getVersion'))['product']), openTab, close };
  } catch (error) {
    await close();
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

function logEvent(log: string[], { method, params }: Message): void {
  if (method === 'Runtime.consoleAPICalled') {
    const { type, args } = params as { type: string; args: { value?: unknown; description?: string }[] };
    log.push(`${type}: ${args.map(({ value, description }) => description ?? String(value)).join(' ')}`);
  } else if (method === 'Runtime.exceptionThrown') {
    const { exceptionDetails: { text, exception } } = params as { exceptionDetails: { text: string; exception?: { description?: string } } };
    log.push(`uncaught: ${exception?.description ?? text}`);
  } else if (method === 'Log.entryAdded') {
    const { entry } = params as { entry: { level: string; text: string; url?: string } };
    log.push(`${entry.level}: ${entry.text} ${entry.url ?? ''}`);
  }
}
