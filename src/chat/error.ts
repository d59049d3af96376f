import { MatMulFreeError } from '../errors.js';

/** A chat template that cannot be used: broken, beyond what is supported, or not made for the messages it was given. */
export class ChatTemplateError extends MatMulFreeError {
  override name = 'ChatTemplateError';
  /** Line of the template, from 1. */
  readonly line: number;

  constructor(file: string, line: number, message: string) {
    super(`${file}, line ${line}: ${message}`);
    this.line = line;
  }
}
