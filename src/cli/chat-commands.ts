import { didYouMean } from '../index.js';
import { UsageError } from './arguments.js';
import type { Talk } from './talk.js';

/** What can be done in a conversation beside saying something. */
interface Command {
  /** The argument, as help shows it: `FILE`; in brackets if it may be left out. */
  readonly takes?: string;
  readonly does: string;
  /** @returns what there is to tell. */
  run(talk: Talk, argument: string, signal: AbortSignal): string | typeof EXIT | void | Promise<string | void>;
}

/** The conversation is over. */
export const EXIT = Symbol('exit');

const COMMANDS: ReadonlyMap<string, Command> = new Map<string, Command>([
  ['/help', { does: 'this list', run: () => commandList() }],
  ['/system', {
    takes: '[TEXT]', does: 'begin anew, with TEXT as what the system says; without one, show it',
    run(talk, text) {
      if (text === '') return talk.systemText ?? 'the system says nothing';
      talk.begin(text);
    },
  }],
  ['/clear', { does: 'begin anew', run: (talk) => talk.begin() }],
  ['/undo', { does: 'take back what was said last, and its answer', run: (talk) => talk.undo() }],
  ['/retry', { does: 'another answer to what was said last', run: (talk, _, signal) => talk.retry(signal) }],
  ['/save', { takes: 'FILE', does: 'keep the conversation in a file', run: (talk, file) => talk.save(file) }],
  ['/load', { takes: 'FILE', does: 'go on with one that was saved', run: (talk, file) => talk.load(file) }],
  ['/info', { does: 'how long it is; /tokens too', run: (talk) => talk.describe() }],
  ['/exit', { does: 'leave; so does Ctrl-D', run: () => EXIT }],
]);
const OTHER_NAMES: ReadonlyMap<string, string> = new Map([['/tokens', '/info'], ['/quit', '/exit'], ['/bye', '/exit'], ['/?', '/help']]);

/** For `/help`, and `--help`. */
export function commandList(): string {
  const lines = [...COMMANDS].map(([name, { takes, does }]) => [takes === undefined ? name : `${name} ${takes}`, does] as const);
  const more = [['//…', 'a message that begins with a slash'], ['…\\', 'the message goes on in the next line; or write """ before and after it']] as const;
  return [...lines, ...more].map(([left, right]) => `  ${left.padEnd(20)}  ${right}`).join('\n');
}

/** Whether a line that was typed is a command. */
export function isCommand(line: string): boolean {
  return line.startsWith('/') && !line.startsWith('//');
}

/** @throws UsageError for a command that there is not, or one that takes something else; what it throws. */
export async function runCommand(line: string, talk: Talk, signal: AbortSignal): Promise<string | typeof EXIT | void> {
  const [, given = '', argument = ''] = /^(\S+)\s*([^]*?)\s*$/.exec(line) ?? [];
  const name = OTHER_NAMES.get(given) ?? given;
  const command = COMMANDS.get(name);
  if (!command) throw new UsageError(`${given}: no such command${didYouMean(given, [...COMMANDS.keys()])}; /help lists them, and a message that begins with / is written with //`);
  const { takes } = command;
  if (takes === undefined && argument !== '') throw new UsageError(`${given} takes nothing behind it`);
  if (argument === '' && takes !== undefined && !takes.startsWith('[')) throw new UsageError(`${given} takes a ${takes}`);
  return command.run(talk, argument, signal);
}
