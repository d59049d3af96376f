import { PassThrough } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, expect, it } from 'vitest';
import { openKeyboard, type Keyboard } from '../../src/cli/keyboard.js';

const open: Keyboard[] = [];
afterEach(() => open.splice(0).forEach((keyboard) => keyboard.close()));

function terminal(signal = new AbortController().signal): { keyboard: Keyboard; input: PassThrough; shown(): string; press(keys: string): Promise<void> } {
  const input = new PassThrough();
  const output = Object.assign(new PassThrough().setEncoding('utf8'), { columns: 80 });
  const keyboard = openKeyboard(input, output, signal);
  open.push(keyboard);
  return {
    keyboard, input,
    shown: () => (output.read() as string | null) ?? '',
    async press(keys) {
      input.write(keys);
      await turn();
      await turn();
    },
  };
}

it('reads lines, with what was written before', async () => {
  const { keyboard, press, shown } = terminal();
  const first = keyboard.read('> ');
  await press('helxlo\x1b[D\x1b[D\x7f\r');
  expect(await first).toEqual({ text: 'hello' });
  expect(shown()).toMatch(/> .*hel/s);
  const second = keyboard.read('> ');
  await press('\x1b[A!\r');
  expect(await second).toEqual({ text: 'hello!' });
});

it('takes what is pasted as one message', async () => {
  const { keyboard, press, shown } = terminal();
  expect(shown()).toBe('\x1b[?2004h');
  const read = keyboard.read('> ');
  await press('say: \x1b[200~one\rtwo\tx\r\r/three');
  await press('\x1b[201~ and\r');
  expect(await read).toEqual({ text: 'say: one\ntwo\tx\n\n/three and' });
  keyboard.close();
  expect(shown()).toMatch(/\x1b\[\?2004l$/);
});

it('keeps what is typed while nothing is asked for, without showing it', async () => {
  const { keyboard, press, shown } = terminal();
  shown();
  await press('one\rtwo\rthr');
  expect(shown()).toBe('');
  expect(await keyboard.read('> ')).toEqual({ text: 'one' });
  expect(await keyboard.read('> ')).toEqual({ text: 'two' });
  expect(shown()).toBe('> one\n> two\n');
  const third = keyboard.read('> ');
  expect(shown()).toMatch(/> thr/);
  await press('ee\r');
  expect(await third).toEqual({ text: 'three' });
});

it('tells Ctrl-C at an empty line from one that forgets what was written', async () => {
  const { keyboard, press } = terminal();
  const first = keyboard.read('> ');
  await press('abc\x1b[D\x03');
  expect(await first).toBe('discard');
  const second = keyboard.read('> ');
  await press('\x03');
  expect(await second).toBe('interrupt');
  const third = keyboard.read('> ');
  await press('\x1b[200~one\rtwo\r\x1b[201~\x03');
  expect(await third).toBe('discard');
  const fourth = keyboard.read('> ');
  await press('d\r');
  expect(await fourth).toEqual({ text: 'd' });
});

it('Ctrl-C while nothing is asked for is told, and forgets what was typed ahead', async () => {
  const { keyboard, press } = terminal();
  let interrupts = 0;
  keyboard.onInterrupt(() => { interrupts++; });
  await press('one\rtwo\x03');
  expect(interrupts).toBe(1);
  const read = keyboard.read('> ');
  await press('three\r');
  expect(await read).toEqual({ text: 'three' });
});

it.each<[string, (at: ReturnType<typeof terminal>, stop: AbortController) => unknown]>([
  ['Ctrl-D', ({ press }) => press('\x04')],
  ['the end of the terminal', ({ input }) => input.end()],
  ['a terminal that fails', ({ input }) => input.emit('error', new Error('EIO'))],
  ['the signal', (_, stop) => stop.abort()],
])('%s ends it, now and later', async (_, end) => {
  const stop = new AbortController();
  const at = terminal(stop.signal);
  const read = at.keyboard.read('> ');
  await end(at, stop);
  expect(await read).toBe('end');
  expect(await at.keyboard.read('> ')).toBe('end');
  expect(at.input.listenerCount('keypress')).toBeLessThanOrEqual(1); // readline's own decoder stays
});

it('a terminal that is gone fails again when it is given its mode back', async () => {
  const { keyboard, input } = terminal();
  const failing = Object.assign(input, { setRawMode: () => input.emit('error', new Error('setRawMode EIO')) });
  const read = keyboard.read('> ');
  failing.emit('error', new Error('read EIO'));
  expect(await read).toBe('end');
});
