import {
  ArgumentError, BackendError, ConfigError, FormatError, SourceError, TokenizerError,
} from 'matmulfree/worker';
import { create, element } from './page.js';

/** What went wrong, what to do, and the library's own words for those who want them. */
export interface Trouble {
  readonly what: string;
  readonly advice: string;
  readonly detail: string;
}

type Case = readonly [kind: new (message?: string) => Error, words: RegExp, what: string, advice: string];

/** The first one that fits is taken; the words are those of name and message. The library's messages name file, tensor, byte or address; these are for people who want a story. */
const CASES: readonly Case[] = [
  [BackendError, /cannot allocate|more than the 4 GiB/, 'There is not enough memory for this model.', 'Close other tabs and programs and try again, or take a smaller model.'],
  [BackendError, /worker cannot be started/, 'The model’s worker could not be started.', 'Reload the page. If that does not help: this browser may be too old, or something may block the page’s scripts.'],
  [BackendError, /has failed|has ended|ended \(|must have died/, 'The browser has stopped the model, perhaps for want of memory.', 'Load the model again; if it happens again, take a smaller one.'],
  [BackendError, /./, 'The model cannot run in this browser.', 'Try a current version of Firefox, Chrome, Edge or Safari.'],
  [FormatError, /does not start with "GGUF"/, 'This is not a GGUF file.', 'It may have been renamed, or be the web page in place of the file. Download the model again, or choose another file.'],
  [FormatError, /truncated|ends at byte|too few|shorter/, 'The file is cut off: its end is missing.', 'The download was probably interrupted. Download the file again, and compare its size with what the site says.'],
  [FormatError, /./, 'The file is damaged.', 'Download it again. If it comes from a converter, convert the model again.'],
  [ConfigError, /architecture|model_type|does not belong to a model/, 'This is not a ternary model, or not one of a kind that runs here.', 'MatMul-free models such as hf:ridger/MMfreeLM-370M run here, BitNet b1.58, and Llama models that are ternary.'],
  [ConfigError, /./, 'This model is of a kind that cannot be run.', 'Its configuration asks for something that this library does not have, or does not fit its weights.'],
  [TokenizerError, /no tokenizer/, 'This model came without a tokenizer, so it cannot read or write text.', 'If it is a checkpoint, add its tokenizer.json.'],
  [TokenizerError, /./, 'The tokenizer of this model cannot be used.', 'Another version of the model may have one that can.'],
  [SourceError, /holds no model|holds no config|not a GGUF file/, 'There is no model among these files.', 'Give one .gguf file, or all files of a checkpoint: config.json, tokenizer.json, and model.safetensors or pytorch_model.bin.'],
  [SourceError, /several/, 'There are several models there.', 'Name one of them, as the message below does.'],
  [SourceError, /status 40[13]|private/, 'The server does not give this model to everybody.', 'Check the name. If it is right, download the model with your account, and drop its files here.'],
  [SourceError, /status 404|no such file|has no file/, 'There is no model with this name.', 'Check the spelling: hf:owner/name, or the address of a .gguf file.'],
  [SourceError, /tried \d+ times|status|redirect/, 'The model could not be fetched.', 'Check the connection and try again: a download goes on where it stopped. The server may also forbid other sites to load from it; then download the file and drop it here.'],
  [SourceError, /./, 'The model could not be opened.', 'Check its name or address, or choose other files.'],
  [ArgumentError, /hf:|URL|cannot be|%/, 'This is not a name or an address of a model.', 'Write hf:owner/name, or the address of a .gguf file, beginning with https://.'],
  [Error, /^ChatTemplateError/, 'The model’s chat template refuses this.', 'It may know no system message: there is a setting for that. Otherwise, another version of the model may have a template that can be used.'],
];

/** @param error whatever was thrown. */
export function inPlainWords(error: unknown): Trouble {
  const detail = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  const found = CASES.find(([kind, words]) => error instanceof kind && words.test(detail));
  if (error instanceof SourceError && !navigator.onLine) {
    return { what: 'There is no network.', advice: 'Models that were downloaded before, and files on this device, work without one.', detail };
  }
  if (found) return { what: found[2], advice: found[3], detail };
  return { what: 'Something went wrong that this page does not know.', advice: 'Reload the page and try again. If it happens again, the message below helps those who mend it.', detail };
}

/** @param retry what the button does; none without it. */
export function showTrouble({ what, advice, detail }: Trouble, retry?: () => void): void {
  const box = element('trouble');
  const details = create('details');
  details.append(create('summary', '', 'The exact message'), create('code', '', detail));
  const close = create('button', 'link', 'OK');
  close.type = 'button';
  const before = document.activeElement;
  const leave = (): void => {
    clearTrouble();
    (before instanceof HTMLElement && before.isConnected && before !== document.body ? before : document.querySelector<HTMLElement>('#controls :not([hidden]) > .primary')!).focus({ preventScroll: true });
  };
  close.addEventListener('click', leave);
  const actions = create('p', 'bar');
  if (retry) {
    const again = create('button', 'primary', 'Try again');
    again.type = 'button';
    again.addEventListener('click', () => {
      leave();
      retry();
    });
    actions.append(again);
  }
  actions.append(close);
  box.replaceChildren(create('p', 'trouble-what', what), create('p', '', advice), details, actions);
  box.hidden = false;
  if (box.closest('dialog')) box.scrollIntoView({ block: 'nearest' }); // elsewhere, it is always in sight
}

export function clearTrouble(): void {
  element('trouble').hidden = true;
  element('trouble').replaceChildren();
}
