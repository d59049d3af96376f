import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { MatMulFreeLM } from 'matmulfree';
import { AnswerOutput } from '../../src/cli/answer-output.js';
import type { Keyboard, Typed } from '../../src/cli/keyboard.js';
import { MessageReader } from '../../src/cli/message-reader.js';
import { forTerminal } from '../../src/cli/terminal.js';
import { CHAT_MODELS, QWEN_LIKE } from '../support/chat.js';
import { cli, cliWith, startScript, stdinOf } from '../support/run.js';

let folder: string;
let model: string[];
let lm: MatMulFreeLM;
/** Letters and spaces, as many as that. */
const letters = (count: number): string[] => ['--regex', `[a-z ]{${count}}`, '-n', String(2 * count)];
const SHORT = ['--seed', '5', ...letters(9)];
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'matmulfree-'));
  const files = CHAT_MODELS[0]!.files(7);
  for (const [name, content] of [['model', files], ['transformer', CHAT_MODELS[1]!.files(7)]] as const) {
    await mkdir(join(folder, name));
    for (const [file, bytes] of Object.entries(content)) await writeFile(join(folder, name, file), bytes as Uint8Array);
  }
  await writeFile(join(folder, 'template.jinja'), QWEN_LIKE);
  model = ['--model', join(folder, 'model'), '--chat-template', join(folder, 'template.jinja'), '--threads', '1'];
  lm = await MatMulFreeLM.load(files, { chatTemplate: QWEN_LIKE, threads: 1 });
});
afterAll(async () => {
  lm.dispose();
  await rm(folder, { recursive: true });
});

const pipe = (text: string, ...args: string[]): ReturnType<typeof cli> => cliWith({ stdin: stdinOf(text) }, 'chat', ...model, ...args);

/** What the library answers: each answer has the next seed. */
async function answersTo(said: readonly string[], system?: string, seed = 5, enableThinking?: boolean): Promise<string[]> {
  const chat = lm.chat({ system, enableThinking, temperature: 0.7, topP: 0.95, maxNewTokens: 18, constraint: { regex: '[a-z ]{9}' } });
  const answers: string[] = [];
  for (const [n, text] of said.entries()) {
    let answer = '';
    for await (const piece of chat.say(text, { seed: seed + n })) answer += piece;
    answers.push(answer);
  }
  return answers;
}
const linesOf = (answers: readonly string[]): string => answers.map((answer) => `${answer}\n`).join('');

describe('chat through a pipe', () => {
  it('answers each line, as the library does, and writes nothing else', async () => {
    const { code, stdout, stderr } = await pipe('hi\n\nwhat is it\r\nand now', '--system', 'be brief', ...SHORT);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toBe(linesOf(await answersTo(['hi', 'what is it', 'and now'], 'be brief')));
  });

  it('lines that go on, blocks, and a slash that is no command', async () => {
    const { stdout } = await pipe('one\\\ntwo\n"""\n/three\nfour \\\n"""\n//five\n"""six', ...SHORT);
    expect(stdout).toBe(linesOf(await answersTo(['one\ntwo', '/three\nfour \\', '/five', 'six'])));
  });

  it('begins anew, takes back, answers again, with commands', async () => {
    const { code, stdout, stderr } = await pipe('/system be\n/system\none\n/clear\n/system\n/system not\n/info\ntwo\n/undo\n/info\nthree\n/retry\n/tokens\n/exit\nnever\n', ...SHORT);
    expect(code).toBe(0);
    const [one] = await answersTo(['one'], 'be');
    const [two] = await answersTo(['two'], 'not', 6);
    const [three] = await answersTo(['three'], 'not', 7);
    const [again] = await answersTo(['three'], 'not', 8);
    expect(stdout).toBe(linesOf([one!, two!, three!, again!]));
    expect(stderr.trimEnd().split('\n').map((line) => line.replace(/ · backend .*/, ''))).toEqual([
      'be', 'be', '1 message, 13 tokens', '1 message, 13 tokens', expect.stringMatching(/^3 messages, \d+ tokens$/),
    ]);
  });

  it('saves and loads, also to take back and answer again what was said before', async () => {
    const file = join(folder, 'talk.chat');
    const { stdout, stderr } = await pipe(`one\ntwo\n/save ${file}\nthree\n/load ${file}\nfour\n`, '--system', 's', ...SHORT);
    expect(stderr).toMatch(/talk\.chat: 5 messages, \d+ tokens\n.*talk\.chat: 5 messages, \d+ tokens\n$/);
    const loaded = await pipe('four\n', '--load', file, '--seed', '8', ...letters(9));
    expect(loaded.stdout).toBe(`${stdout.trimEnd().split('\n').at(-1)}\n`);
    const back = await pipe('/undo\n/info\ntwo\n/retry\n/undo\n/undo\n/info\n', '--load', file, '--seed', '6', ...letters(9));
    const [, two] = await answersTo(['one', 'two'], 's');
    expect(back.stdout.split('\n')[0]).toBe(two);
    expect(back.stderr).toMatch(/^3 messages, .*\n1 message, /);
    expect((await pipe('/system\n', '--load', file)).stderr).toBe('s\n');
  });

  it('tells how long the conversation is, whatever of it has been read', async () => {
    const file = join(folder, 'length.chat');
    const { stderr } = await pipe(`/info\nhi\n/info\nho\n/info\n/save ${file}\n/load ${file}\n/info\n/undo\n/info\n/undo\n/info\n`, ...SHORT);
    // A character is a token, and so is a mark.
    const turn = (role: string, length: number): number => 1 + `${role}\n`.length + length + 1 + '\n'.length;
    const one = turn('user', 2) + turn('assistant', 9);
    expect([...stderr.matchAll(/(\d+) messages?, (\d+) tokens?/g)].map(([, ...counts]) => counts.map(Number))).toEqual([
      [0, 0], [2, one], [4, 2 * one], [4, 2 * one], [4, 2 * one], [4, 2 * one], [2, one], [0, 0],
    ]);
  });

  it('tells how many messages there are where the template cannot show them', async () => {
    await writeFile(join(folder, 'strict.jinja'), `{% if messages[-1].role == 'system' %}{{ raise_exception('nothing is asked') }}{% endif %}${QWEN_LIKE}`);
    const { code, stderr } = await pipe('/info\n', '--system', 's', '--chat-template', join(folder, 'strict.jinja'));
    expect([code, stderr]).toEqual([0, expect.stringMatching(/^1 message · backend /)]);
  });

  it('a file is replaced whole, or stays as it was', async () => {
    const file = join(folder, 'good.chat');
    await pipe(`one\n/save ${file}\n`, ...SHORT);
    const bytes = await readFile(file);
    await pipe(`one\ntwo\n/save ${file}\n`, ...SHORT);
    expect((await readFile(file)).length).toBeGreaterThan(bytes.length);
    for (const [place, complaint] of [[folder, 'is a folder'], [join(folder, 'none', 'x'), 'no such file or directory']] as const) {
      const { code, stderr } = await pipe(`one\n/save ${place}\n`, ...SHORT);
      expect({ code, stderr }).toEqual({ code: 1, stderr: `matmulfree: cannot write ${place}: ${complaint}\n` });
    }
    expect((await readdir(folder)).filter((name) => name.includes('partial'))).toEqual([]);
  });

  it('a file that is no conversation is refused by its name', async () => {
    const file = join(folder, 'no.chat');
    await writeFile(file, 'something else');
    expect(await pipe('', '--load', file)).toMatchObject({ code: 1, stderr: expect.stringMatching(/^matmulfree: .*no\.chat: [^\n]+\n$/) });
    expect(await pipe(`/load ${join(folder, 'nowhere')}\n`)).toMatchObject({ code: 1, stderr: expect.stringMatching(/^matmulfree: cannot read .*nowhere: no such file or directory\n$/) });
  });

  it('thinks or not as it is told', async () => {
    const { stdout } = await pipe('hi\n', '--no-thinking', ...SHORT);
    expect(stdout).toBe(linesOf(await answersTo(['hi'], undefined, 5, false)));
    expect(stdout).not.toBe(linesOf(await answersTo(['hi'])));
  });

  it('says that an answer was cut', async () => {
    const args = ['hi\n', '--regex', '[a-z]{9}', '-n', '4'] as const;
    expect((await pipe(...args)).stderr).toBe('(cut after 4 tokens; --max-new-tokens N allows more)\n');
    expect((await pipe(...args, '--quiet')).stderr).toBe('');
  });

  it('is the same in a process of its own', async () => {
    const args = ['chat', ...model, ...SHORT];
    const { ended } = startScript('src/cli/main.ts', args, { input: 'hi\n/info\nthere' });
    expect(await ended).toEqual({ code: 0, stdout: linesOf(await answersTo(['hi', 'there'])), stderr: expect.stringMatching(/^2 messages, /) as string });
  });

  it('a signal ends it', async () => {
    const stop = new AbortController();
    let stdout = '';
    const output = { write: (text: string): void => { stdout += text; if (stdout.length > 20) stop.abort(); } };
    const { code, stderr } = await cliWith({ stdin: stdinOf('hi\n', 'more\n'), stdout: output, signal: stop.signal }, 'chat', ...model, ...letters(900));
    expect({ code, stderr }).toEqual({ code: 'stopped', stderr: '' });
    expect(stdout).toMatch(/^[a-z ]{21,200}\n$/);
  });
});

describe('what chat refuses, in one line', () => {
  it.each<[string, string[], string, number, RegExp]>([
    ['a model that tells stories', [], 'hi\n', 2, /tells stories; give one that chats with --model .* or a chat template with --chat-template FILE/],
    ['two beginnings', ['--system', 'a', '--load', 'b'], '', 2, /give one of --system, .* and --load/],
    ['stdin for a file', ['--chat-template', '-'], '', 2, /--chat-template takes a file: what comes from stdin is what is said/],
    ['words behind it', ['hi'], '', 2, /unexpected argument "hi"/],
  ])('%s', async (_, args, stdin, code, complaint) => {
    const found = await cliWith({ stdin: stdinOf(stdin) }, 'chat', ...args);
    expect(found).toEqual({ code, stdout: '', stderr: expect.stringMatching(complaint) as string });
    expect(found.stderr.trimEnd()).not.toContain('\n');
  });

  it.each<[string, string[], string, number, RegExp]>([
    ['an option, before anything is said', ['--temperature', '-1'], '', 2, /^matmulfree: option temperature is -1/],
    ['a pattern', ['--regex', '('], '', 2, /unclosed group/],
    ['a command that there is not', [], '/sav x\n', 2, /^matmulfree: \/sav: no such command; did you mean \/save\?; \/help lists them/],
    ['a command without its file', [], '/save\n', 2, /^matmulfree: \/save takes a FILE/],
    ['a command with too much', [], '/undo 3\n', 2, /^matmulfree: \/undo takes nothing behind it/],
    ['to take back what was not said', ['--system', 's'], '/undo\n', 1, /^matmulfree: nothing has been said yet\n/],
    ['to answer again what was not said', [], '/retry\n', 1, /^matmulfree: nothing has been said yet\n/],
  ])('%s', async (_, args, stdin, code, complaint) => {
    const found = await pipe(stdin, ...args);
    expect(found).toEqual({ code, stdout: '', stderr: expect.stringMatching(complaint) as string });
    expect(found.stderr.trimEnd()).not.toContain('\n');
  });

  it('what there is no memory for', async () => {
    const { code, stdout, stderr } = await pipe('hi\nhi\nhi\nhi\nhi\n', '--model', join(folder, 'transformer'), '--context-tokens', '200', ...letters(60));
    expect({ code, stderr }).toEqual({ code: 1, stderr: 'matmulfree: there is no memory for a conversation as long as that; --context-tokens N gives more\n' });
    expect(stdout).toMatch(/^([a-z ]{1,60}\n){0,4}$/);
  });

  it('a model without a template, and a template that is none', async () => {
    const without = await cliWith({ stdin: stdinOf('hi\n') }, 'chat', '--model', join(folder, 'model'));
    expect(without).toMatchObject({ code: 2, stderr: expect.stringMatching(/has no chat template, .*; give one with --chat-template FILE; see/) });
    await writeFile(join(folder, 'bad.jinja'), '{{ 1');
    const bad = await pipe('', '--chat-template', join(folder, 'bad.jinja'));
    expect(bad).toMatchObject({ code: 1, stderr: expect.stringMatching(/line 1/) });
  });

  it('--help teaches, with the commands that there are', async () => {
    const { code, stdout } = await cli('chat', '--help');
    expect(code).toBe(0);
    const { stderr } = await pipe('/help\n');
    expect(stdout).toContain(stderr.trimEnd());
    for (const name of ['system', 'load', 'chat-template', 'no-thinking', 'top-k', 'seed', 'context-tokens']) expect(stdout).toContain(`--${name}`);
    expect(stdout.split('\n').every((line) => line.length <= 142)).toBe(true);
  });
});

/** Somebody who enters these, one after another, and then leaves. */
function typist(...keys: readonly Typed[]): Keyboard & { readonly prompts: string[]; interrupt(): void; closed: boolean } {
  const left = [...keys];
  return {
    prompts: [], closed: false, interrupt() {},
    async read(prompt) {
      this.prompts.push(prompt);
      return left.shift() ?? 'end';
    },
    onInterrupt(listener) { this.interrupt = listener; },
    close() { this.closed = true; },
  };
}

describe('chat at a terminal', () => {
  /** `onText` may interrupt it. */
  async function talk(keyboard: ReturnType<typeof typist>, args: readonly string[] = SHORT, onText: (text: string) => void = () => {}): Promise<Awaited<ReturnType<typeof cli>>> {
    let stdout = '';
    const output = { isTTY: true, write: (text: string): void => { stdout += text; onText(stdout); } };
    const found = await cliWith({ stdin: { ...stdinOf(), keyboard: () => keyboard }, stdout: output }, 'chat', ...model, ...args);
    expect(keyboard.closed).toBe(true);
    return { ...found, stdout };
  }

  it('answers, tells what fails, and goes on', async () => {
    const keyboard = typist({ text: 'one\\' }, { text: 'two' }, { text: '/load nowhere' }, { text: '/no' }, { text: 'a\nb' }, { text: ' ' });
    const { code, stdout, stderr } = await talk(keyboard);
    expect(code).toBe(0);
    expect(stdout).toBe(linesOf(await answersTo(['one\ntwo', 'a\nb'])));
    expect(stderr).toMatch(/^\/help lists .*\ncannot read nowhere: .*\n\/no: no such command.*\n$/);
    expect(keyboard.prompts).toEqual(['> ', '... ', '> ', '> ', '> ', '> ', '> ']);
  });

  it('dims a thought, or hides it', async () => {
    vi.stubEnv('NO_COLOR', ''); // whatever the environment of the tests says
    vi.stubEnv('TERM', 'xterm');
    const thinking = ['--regex', '<think>[a-z]{5} [a-z]{5}</think>\n[a-z]{7}', '--seed', '5'];
    const { stdout } = await talk(typist({ text: 'hi' }), thinking);
    expect(stdout.replaceAll('\x1b[22m\x1b[2m', '')).toMatch(/^\x1b\[2m[a-z]{5} [a-z]{5}\x1b\[22m\n\n[a-z]{7}\n$/);
    expect((await talk(typist({ text: 'hi' }), [...thinking, '--no-thinking'])).stdout).toMatch(/^[a-z]{7}\n$/);
    vi.unstubAllEnvs();
  });

  it('Ctrl-C stops the answer, which stays as far as it came; the next one leaves', async () => {
    const file = join(folder, 'stopped.chat');
    const keyboard = typist({ text: 'hi' }, { text: '/info' }, { text: `/save ${file}` }, { text: `/load ${file}` }, { text: 'more' }, 'interrupt', { text: 'never' });
    let stops = 0;
    const { code, stdout, stderr } = await talk(keyboard, [...letters(900), '--seed', '5'], (text) => {
      if (text.split('\n')[stops]!.length < 30) return;
      stops++;
      keyboard.interrupt();
    });
    expect(code).toBe(0);
    expect(stdout).toMatch(/^([a-z ]{30,200}\n){2}$/);
    expect(stderr).toMatch(/^\/help .*\n(2 messages, \d\d+ tokens) · .*\n.*stopped\.chat: \1\n.*stopped\.chat: \1\n$/);
    expect(keyboard.prompts).toHaveLength(6);
  });

  it('Ctrl-C at an empty line asks first; what was begun is forgotten', async () => {
    const keyboard = typist('interrupt', { text: '"""' }, { text: 'x' }, 'interrupt', { text: 'hi' }, 'discard', 'interrupt', 'interrupt', { text: 'never' });
    const { stdout, stderr } = await talk(keyboard, [...SHORT, '--quiet']);
    expect(stdout).toBe(linesOf(await answersTo(['hi'])));
    expect(stderr).toBe('Ctrl-C again, or Ctrl-D, leaves\nCtrl-C again, or Ctrl-D, leaves\n');
    expect(keyboard.prompts).toHaveLength(8);
  });
});

describe('what a model writes', () => {
  const shown = (isTTY: boolean, hidesThoughts: boolean, env: Record<string, string>, ...pieces: ['thinking' | 'text', string][]): string => {
    let written = '';
    const output = new AnswerOutput({ isTTY, write: (text) => { written += text; } }, hidesThoughts, env);
    for (const [type, text] of pieces) output.write({ type, text });
    output.end();
    return written;
  };
  const ANSWER: ['thinking' | 'text', string][] = [['thinking', '\n'], ['thinking', '\nlet me '], ['thinking', 'see\n'], ['thinking', 'so'], ['thinking', '.\n'], ['text', 'Yes'], ['text', '.']];

  it('has thoughts dimmed on a terminal, and none elsewhere', () => {
    expect(shown(true, false, {}, ...ANSWER)).toBe('\x1b[2mlet me\x1b[22m\x1b[2m see\x1b[22m\x1b[2m\nso\x1b[22m\x1b[2m.\x1b[22m\n\nYes.\n');
    expect(shown(true, false, { NO_COLOR: '1' }, ...ANSWER)).toBe('(thinking) let me see\nso.\n\nYes.\n');
    expect(shown(true, false, { NO_COLOR: '' }, ...ANSWER)).toContain('\x1b[2m');
    expect(shown(true, true, {}, ...ANSWER)).toBe('Yes.\n');
    expect(shown(false, false, {}, ...ANSWER)).toBe('Yes.\n');
    expect(shown(true, false, {}, ['thinking', 'cut'])).toBe('\x1b[2mcut\x1b[22m\n');
    expect(shown(true, false, {}, ['thinking', '\n\n'], ['text', 'Yes\n'])).toBe('Yes\n');
    expect(shown(false, false, {})).toBe('\n');
  });

  it('does not command a terminal', () => {
    const hostile = 'a\x1b]0;title\x07\x1b[2J\x9b31m\r\b\x7f\u202eb\u2066\tc\nd🤖👩‍🚀';
    for (const text of [forTerminal(hostile, { isTTY: true }), shown(true, false, { NO_COLOR: '1' }, ['thinking', hostile], ['text', hostile])]) {
      expect(text.replace(/[\n\t]/g, '')).not.toMatch(/[\p{Cc}\u202a-\u202e\u2066-\u2069]/u);
      expect(text).toContain('\tc\nd🤖👩‍🚀');
    }
    expect(shown(false, false, {}, ['text', hostile])).toBe(`${hostile}\n`);
  });

  it('nor does what generate writes', async () => {
    for (const isTTY of [true, false]) {
      let stdout = '';
      await cliWith({ stdout: { isTTY, write: (text) => { stdout += text; } } }, 'generate', 'A \x1b[31mcat', '-n', '2', '--quiet');
      expect(stdout.startsWith(isTTY ? 'A \ufffd[31mcat' : 'A \x1b[31mcat')).toBe(true);
    }
  });
});

describe('messages of several lines', () => {
  const read = (...lines: string[]): unknown[] => {
    const reader = new MessageReader();
    return [...lines.map((line) => reader.push(line)?.text), reader.end()?.text];
  };
  it.each<[string, string[], unknown[]]>([
    ['one', ['a'], ['a', undefined]],
    ['a backslash', ['a\\', 'b\\', '', 'c'], [undefined, undefined, 'a\nb\n', 'c', undefined]],
    ['a backslash at the end', ['a\\'], [undefined, 'a']],
    ['a block', ['"""', 'a', '', '/b\\', '"""', 'c'], [undefined, undefined, undefined, undefined, 'a\n\n/b\\', 'c', undefined]],
    ['marks beside the text', ['"""a', 'b"""  '], [undefined, 'a\nb', undefined]],
    ['on one line', ['"""a"""', '""""""', 'b'], ['a', '', 'b', undefined]],
    ['without an end', ['"""a', 'b'], [undefined, undefined, 'a\nb']],
    ['pasted', ['a\n"""\n/b\\'], ['a\n"""\n/b\\', undefined]],
  ])('%s', (_, lines, expected) => expect(read(...lines)).toEqual(expected));
});
