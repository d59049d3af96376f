import { ArgumentError, MatMulFreeError, show } from '../errors.js';
import { givenOptions } from '../options.js';
import { execute } from './execute.js';
import { FUNCTIONS } from './functions.js';
import { parse } from './parse.js';
import { MAX_SOURCE, Run } from './run.js';
import { inner } from './scope.js';
import { pieces, TextBuilder, type TemplatePiece, type Text } from './text.js';
import { readVariables } from './variables.js';

export interface ChatTemplateOptions {
  /** What messages call the template, such as its file; `chat template` if not given. */
  readonly file?: string;
  /** What `strftime_now` takes for now, in local time; the time of the rendering if not given. */
  readonly now?: Date;
}

/** A template that can be rendered. */
export interface CompiledTemplate {
  render(variables: Readonly<Record<string, unknown>>): string;
  renderPieces(variables: Readonly<Record<string, unknown>>): TemplatePiece[];
}

/** @throws ChatTemplateError for what is broken or not supported. */
export function compileTemplate(source: string, options: ChatTemplateOptions = {}): CompiledTemplate {
  const { file = 'chat template', now } = givenOptions('ChatTemplate.compile', options, ['file', 'now']);
  if (typeof source !== 'string') throw new ArgumentError(`ChatTemplate.compile: the source is ${show(source)}, not a text`);
  if (typeof file !== 'string') throw new ArgumentError(`ChatTemplate.compile: file is ${show(file)}, not a text`);
  if (now !== undefined && (!(now instanceof Date) || Number.isNaN(now.getTime()))) throw new ArgumentError(`ChatTemplate.compile: now is ${show(now)}, not a date`);
  const parsing = new Run(file);
  if (source.length > MAX_SOURCE) parsing.fail(`the template has more than ${MAX_SOURCE} characters`);
  const body = withinStack(parsing, () => parse(parsing, source));

  const renderText = (caller: string, variables: unknown): Text => {
    const run = new Run(file, now);
    const globals = inner({ values: new Map(FUNCTIONS), outer: undefined }, readVariables(run, caller, variables));
    const out = new TextBuilder(run);
    withinStack(run, () => execute(run, inner(globals), body, out));
    return out.done();
  };
  return {
    render: (variables) => renderText('render', variables).text,
    renderPieces: (variables) => pieces(renderText('renderPieces', variables)),
  };
}

/** The engine's stack may be nearly used up by whoever calls: that is no other kind of error. */
function withinStack<T>(run: Run, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof MatMulFreeError) throw error;
    // Firefox has an InternalError of its own.
    if (error instanceof RangeError || (error instanceof Error && error.name === 'InternalError')) return run.fail('too much is nested here for the stack of this engine');
    throw error;
  }
}
