import { describe, expect, it } from 'vitest';
import { numberOption, parseCommand, UsageError } from '../../src/cli/arguments.js';
import { plural } from '../../src/cli/terminal.js';
import { cli } from '../support/run.js';

const OPTIONS = {
  temperature: { type: 'string', short: 't' }, 'text-file': { type: 'string' }, stop: { type: 'string', multiple: true }, quiet: { type: 'boolean' }, help: { type: 'boolean', short: 'h' },
} as const;

describe('options', () => {
  it.each([
    [['--temperature', '-1'], { temperature: '-1' }], [['-t', '-0.5'], { temperature: '-0.5' }], [['-t-1e3'], { temperature: '-1e3' }], [['--temperature=-1'], { temperature: '-1' }],
    [['-t', '-Infinity'], /-t takes a value, and -Infinity looks like an option; if it is the value, write --temperature=-Infinity/], [['--temperature=-Infinity'], { temperature: '-Infinity' }],
    [['--stop', '- ', '--stop', '-', '--stop', '', '--stop=--quiet'], { stop: ['- ', '-', '', '--quiet'] }], [['--quiet', '-t', '1'], { quiet: true, temperature: '1' }],
    [['--temprature', '1'], /unknown option --temprature; did you mean --temperature\?/], [['--textfile', 'x'], /unknown option --textfile; did you mean --text-file\?/],
    [['--text_file=x'], /unknown option --text_file; did you mean --text-file\?/], [['--TEXT-FILE', 'x'], /unknown option --TEXT-FILE; did you mean --text-file\?/],
    [['-x'], /^unknown option -x; a text that begins with a dash comes after --$/], [['-1 degree'], /unknown option -1; a text that begins with a dash comes after --/], [['--frobnicate'], /^unknown option --frobnicate; a text/],
    [['--constructor'], /unknown option --constructor/], [['--__proto__'], /unknown option --__proto__/],
    [['--temperature'], /^--temperature takes a value$/], [['-t'], /^-t takes a value$/], [['--stop', '--quiet'], /--stop takes a value, and --quiet looks like an option; if it is the value, write --stop=--quiet/],
    [['--quiet=yes'], /^--quiet takes no value$/],
  ] as [string[], Record<string, unknown> | RegExp][])('%j', (args, expected) => {
    if (expected instanceof RegExp) {
      expect(() => parseCommand(args, OPTIONS, true)).toThrow(UsageError);
      expect(() => parseCommand(args, OPTIONS, true)).toThrow(expected);
    } else expect({ ...parseCommand(args, OPTIONS, true).values }).toEqual(expected);
  });

  it('other arguments, where there may be some; what comes after -- is never an option', () => {
    expect(parseCommand(['a', '--quiet', '-', '--', '-1 degree', '--help'], OPTIONS, true).positionals).toEqual(['a', '-', '-1 degree', '--help']);
    expect(() => parseCommand(['a'], OPTIONS, false)).toThrow(/^unexpected argument "a"$/);
    expect(() => parseCommand(['-x'], OPTIONS, false)).toThrow(/^unknown option -x$/);
  });

  it('numbers', () => {
    expect([numberOption('seed', undefined), numberOption('seed', '-1'), numberOption('seed', '1e3')]).toEqual([undefined, -1, 1000]);
    for (const text of ['', ' ', 'x', '1x']) expect(() => numberOption('seed', text)).toThrow(UsageError);
  });
});

it('a misspelt command has a suggestion, and one that is like none has not', async () => {
  const [near, far, negative] = await Promise.all([cli('genrate'), cli('dance'), cli('generate', '--temperature', '-1')]);
  expect(near).toMatchObject({ code: 2, stderr: expect.stringMatching(/^matmulfree: unknown command "genrate" \(commands: generate, .*\); did you mean generate\?; see matmulfree --help\n$/) as unknown });
  expect(far!.stderr).toMatch(/^matmulfree: unknown command "dance" \(commands: [^)]*\); see matmulfree --help\n$/);
  expect(negative).toMatchObject({ code: 2, stdout: '', stderr: expect.stringMatching(/^matmulfree: option temperature is -1, not a number at least 0; see/) as unknown });
});

it('counts in words', () => {
  expect([0, 1, 2, 1234].map((count) => plural(count, 'token'))).toEqual(['0 tokens', '1 token', '2 tokens', '1,234 tokens']);
});
