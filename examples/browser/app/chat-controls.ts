import type { AnswerView } from './answer.js';
import { followAnswer } from './dock.js';
import { growWithText, isSending } from './field.js';
import { Meter } from './meter.js';
import type { Mode, Page } from './mode.js';
import { announce, element } from './page.js';
import { nextSeed, readSettings } from './settings.js';
import { Talk } from './talk.js';
import { clearTrouble } from './trouble.js';

/** So much of an answer is read out when it is there; all of it is on the page. */
const SPOKEN = 1500;

/** The conversation with its field and buttons. */
export function chatControls({ plots, rate, model, showError }: Page): Mode {
  const said = element<HTMLTextAreaElement>('said');
  const send = element<HTMLButtonElement>('send');
  let isFirst = true;
  /** Until its reader scrolls. */
  let isFollowed = true;

  const talk = new Talk(new Meter(), {
    onChange: showState,
    onPiece(piece, tokens, view) {
      plots.add([piece], tokens);
      if (rate.add([piece.ms])) follow(view);
    },
    onEnd({ result }, view, tokens) {
      plots.add([], tokens);
      if (result) rate.finish(result);
      const words = view.spoken;
      announce(`${result ? 'The answer' : 'Stopped'}: ${words.length > SPOKEN ? `${words.slice(0, SPOKEN)} … and more` : words}`);
      follow(view);
    },
    onCut: () => plots.reset(),
    onTakenBack(text) {
      announce('Stopped before the answer.');
      if (said.value.trim() === '') write(text);
    },
    onError: showError,
    settings() {
      isFollowed = true;
      if (!isFirst) nextSeed();
      isFirst = false;
      const thinks = element<HTMLInputElement>('think').checked;
      return { ...readSettings().options, ...(thinks ? {} : { enableThinking: false }) };
    },
  });

  function showState(): void {
    send.textContent = talk.isWriting ? 'Stop' : 'Send';
    send.disabled = false;
    element('welcome').hidden = !talk.isEmpty;
    element('anew').hidden = talk.isEmpty;
    element('choose').hidden = !talk.isForked || talk.isWriting;
    if (document.activeElement === document.body && !talk.isEmpty) send.focus({ preventScroll: true }); // a button that was used has gone
  }

  function follow({ element }: AnswerView): void {
    followAnswer(element.closest<HTMLElement>('.exchange')!, isFollowed);
  }

  /** Into the field, for somebody to send it. */
  function write(text: string): void {
    said.value = text;
    said.dispatchEvent(new Event('input'));
  }

  async function say(): Promise<void> {
    const text = said.value.trim();
    if (text === '') return said.focus();
    if (talk.isForked) return document.querySelector<HTMLElement>('#chat .branch button')!.focus();
    clearTrouble();
    const loaded = await model();
    if (!loaded || said.value.trim() !== text) return;
    write('');
    announce('Writing.');
    await talk.say(loaded.lm, element<HTMLTextAreaElement>('system').value.trim(), text);
  }

  said.addEventListener('keydown', (event) => {
    if (!isSending(event)) return;
    event.preventDefault();
    if (said.value.trim() !== '') void talk.stop().then(say);
  });
  document.addEventListener('keydown', ({ key, defaultPrevented }) => {
    if (key === 'Escape' && !defaultPrevented && !element<HTMLDialogElement>('chooser').open) void talk.stop();
  });
  for (const type of ['wheel', 'touchmove', 'keydown']) {
    document.addEventListener(type, ({ target }) => { isFollowed &&= target === said; }, { passive: true });
  }
  element('anew').addEventListener('click', () => {
    plots.reset();
    announce('A new conversation.');
    void talk.clear().then(() => said.focus());
  });
  element('welcome').addEventListener('click', ({ target }) => {
    if (!(target instanceof HTMLButtonElement)) return;
    write(target.textContent!);
    said.focus();
  });
  growWithText(said);
  showState();

  return {
    name: 'chat',
    length: 1000,
    submit: () => void (talk.isWriting ? talk.stop() : say()),
    clear: () => talk.clear(),
    moveTo: (lm) => talk.moveTo(lm),
  };
}
