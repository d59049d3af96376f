import { MatMulFreeError } from '../errors.js';

/** A chat template that is broken, beyond what is supported, or not made for the messages it was given. It loads with the first template. */
export class ChatTemplateError extends MatMulFreeError {
  override name = 'ChatTemplateError';
}
