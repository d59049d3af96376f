import { describe, expect, it } from 'vitest';
import { formatDuration, ProgressLine, type ProgressOutput } from '../../src/cli/terminal.js';

/** An output with a clock that is set by hand. */
function fakeOutput(isTTY: boolean, columns = 80): ProgressOutput & { time: number; text: string } {
  return {
    isTTY, columns, time: 0, text: '',
    write(text: string) { this.text += text; },
    now() { return this.time; },
  };
}

const shown = (text: string): string => text.split('\r\x1b[2K').at(-1)!;

describe('progress on a terminal', () => {
  it('a bar with amounts, rate and time left, wiped at the end', () => {
    const output = fakeOutput(true, 120);
    const progress = new ProgressLine(false, output);
    for (output.time = 0; output.time <= 20_000; output.time += 50) {
      progress.listener({ stage: 'download', file: 'm.gguf', loaded: 1e9 + output.time * 20_000, total: 2e9 });
    }
    // 20 MB a second: 600 MB to go. What was there before counts for the bar, not for the rate.
    expect(shown(output.text)).toBe(`downloading m.gguf ${'█'.repeat(17)}${'░'.repeat(7)} 70% 1.4 GB of 2.0 GB · 20 MB/s · 0:30 left`);
    progress.clear();
    expect(shown(output.text)).toBe('');
  });

  it('the rate is that of late', () => {
    const output = fakeOutput(true, 120);
    const progress = new ProgressLine(false, output);
    let loaded = 0;
    for (output.time = 0; output.time <= 60_000; output.time += 50) {
      loaded += (output.time < 40_000 ? 10_000 : 1000) * 50;
      progress.listener({ stage: 'download', file: 'm.gguf', loaded, total: 0 });
    }
    expect(shown(output.text)).toMatch(/^downloading m\.gguf \d+ MB · 1\.0 MB\/s$/); // no total, so no bar
  });

  it('nothing of what is done soon, and not more often than eyes see', () => {
    const output = fakeOutput(true);
    const progress = new ProgressLine(false, output);
    for (output.time = 0; output.time < 700; output.time += 10) progress.update('loading', output.time, 1000);
    expect(output.text).toBe('');
    for (; output.time < 1700; output.time += 10) progress.update('loading', output.time, 2000);
    expect(output.text.split('\r').length - 1).toBeLessThanOrEqual(10);
    expect(output.text.split('\r').length - 1).toBeGreaterThan(5);
  });

  it('fits into the line, and file names cannot leave it', () => {
    const output = fakeOutput(true, 40);
    const progress = new ProgressLine(false, output);
    output.time = 1000;
    progress.listener({ stage: 'download', file: `x\n\x1b[2J${'y'.repeat(100)}`, loaded: 1, total: 2 });
    expect(shown(output.text)).toHaveLength(39);
    expect(shown(output.text)).toMatch(/^downloading x \[2Jyyy/);
  });

  /** The line for a name, 10 seconds after the start of a download of 2 GB. */
  function line(file: string, columns: number): string {
    const output = fakeOutput(true, columns);
    const progress = new ProgressLine(false, output);
    for (output.time = 0; output.time <= 10_000; output.time += 500) progress.listener({ stage: 'download', file, loaded: 1e9 + output.time * 20_000, total: 2e9 });
    expect(output.text).not.toContain('\n');
    return shown(output.text);
  }
  const figures = '60% 1.2 GB of 2.0 GB · 20 MB/s · 0:40 left';

  it('rate and time left are there on a terminal of common width, whatever the name of the file', () => {
    expect(line('m.gguf', 80)).toBe(`downloading m.gguf ${'█'.repeat(10)}${'░'.repeat(7)} ${figures}`);
    expect(line('model.safetensors', 80)).toBe(`downloading model.safetens… ${'█'.repeat(5)}${'░'.repeat(3)} ${figures}`);
    expect(line('model-00001-of-00002.safetensors', 80)).toBe(`downloading model-00001-of… ${'█'.repeat(5)}${'░'.repeat(3)} ${figures}`);
    expect(line('model.safetensors', 100)).toBe(`downloading model.safetensors ${'█'.repeat(14)}${'░'.repeat(10)} ${figures}`);
  });

  it('on one that is too narrow the bar goes first, then the name, then what stands at the end', () => {
    expect(line('model.safetensors', 65)).toBe(`downloading model.sa… ${figures}`);
    expect(line('model.safetensors', 48)).toBe(`dow… ${figures}`);
    expect(line('model.safetensors', 44)).toBe(`${figures}`);
    expect(line('model.safetensors', 30)).toBe('60% 1.2 GB of 2.0 GB · 20 MB…');
    for (const columns of [1, 2, 3, 10]) expect(line('model.safetensors', columns).length).toBeLessThan(columns);
  });

  it('characters of two columns count as two', () => {
    for (const file of ['模型'.repeat(20), '모델'.repeat(20), 'モデル'.repeat(20), '🤖'.repeat(40), '𠀀'.repeat(40)]) {
      for (let columns = 50; columns < 130; columns++) {
        const text = line(file, columns);
        const wide = text.match(/[\u3000-\ud7ff\ud800-\udbff]/g) ?? [];
        expect(text.replace(/[\udc00-\udfff]/g, '').length + wide.length, text).toBeLessThan(columns);
        expect(text).not.toMatch(/\p{Cs}/u);
        if (columns > 60) expect(text).toMatch(/0:40 left$/);
      }
    }
  });

  it('more than there was to be does not turn the time left around', () => {
    const output = fakeOutput(true, 120);
    const progress = new ProgressLine(false, output);
    for (output.time = 0; output.time <= 2000; output.time += 100) progress.update('x', output.time * 1000, 1e6);
    expect(shown(output.text)).toMatch(/100% 2\.0 MB of 1\.0 MB · 1\.0 MB\/s · 0:00 left$/);
  });

  it('another file begins with a rate of its own', () => {
    const output = fakeOutput(true, 120);
    const progress = new ProgressLine(false, output);
    for (output.time = 0; output.time <= 5000; output.time += 100) progress.listener({ stage: 'download', file: 'a', loaded: output.time * 1e6, total: 1e12 });
    progress.listener({ stage: 'download', file: 'b', loaded: 0, total: 1e6 });
    output.time += 200;
    progress.listener({ stage: 'download', file: 'b', loaded: 10, total: 1e6 });
    expect(shown(output.text)).not.toMatch(/\/s/);
  });
});

describe('progress in a pipe', () => {
  it('a plain line every five seconds at most', () => {
    const output = fakeOutput(false);
    const progress = new ProgressLine(false, output);
    for (output.time = 0; output.time <= 17_000; output.time += 50) {
      progress.listener({ stage: 'verify', file: 'm.gguf', loaded: output.time * 10_000, total: 2e8 });
    }
    progress.clear();
    expect(output.text.trimEnd().split('\n')).toEqual([
      'checking m.gguf: 25%, 50 MB of 200 MB · 10 MB/s · 0:15 left',
      'checking m.gguf: 50%, 100 MB of 200 MB · 10 MB/s · 0:10 left',
      'checking m.gguf: 75%, 150 MB of 200 MB · 10 MB/s · 0:05 left',
    ]);
  });

  it('that the server cannot be reached is said at once', () => {
    const output = fakeOutput(false);
    new ProgressLine(false, output).listener({ stage: 'offline', file: 'hf:a/b', loaded: 0, total: 0 });
    expect(output.text).toBe('hf:a/b: the server cannot be reached; using what is in the cache\n');
  });
});

it('--quiet shows nothing anywhere', () => {
  for (const isTTY of [true, false]) {
    const output = fakeOutput(isTTY);
    const progress = new ProgressLine(true, output);
    for (output.time = 0; output.time <= 20_000; output.time += 500) progress.update('x', 1, 2);
    progress.listener({ stage: 'offline', file: 'x', loaded: 0, total: 0 });
    progress.clear();
    expect(output.text).toBe('');
  }
});

it.each([[0, '0:00'], [6.2, '0:07'], [59.5, '1:00'], [750, '12:30'], [3723, '1:02:03'], [86_400, '24:00:00']])('%d seconds are %s', (seconds, text) => {
  expect(formatDuration(seconds)).toBe(text);
});

it('that a server is waited for is told, without figures', () => {
  for (const [isTTY, line] of [[true, 'waiting for the server of hf:a/b'], [false, 'waiting for the server of hf:a/b\n']] as const) {
    const output = fakeOutput(isTTY, 80);
    const progress = new ProgressLine(false, output);
    for (output.time = 0; output.time <= 6000; output.time += 1000) progress.listener({ stage: 'connect', file: 'hf:a/b', loaded: 0, total: 0 });
    expect(isTTY ? shown(output.text).trimEnd() : output.text).toBe(line);
  }
});
