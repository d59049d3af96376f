import { AnswerView } from './answer.js';
import { showBranches } from './branches.js';
import { growWithText, isSending } from './field.js';
import { button, create } from './page.js';

export interface ExchangeEvents {
  /** Something else is to have been said there. */
  onEdit(exchange: Exchange, text: string): void;
  /** Another answer is wanted, beside this one. */
  onFork(exchange: Exchange): void;
  /** One of two answers is the answer. */
  onKeep(exchange: Exchange, answer: number): void;
}

export const BRANCHES = ['One answer', 'Another answer'];

/** What somebody said, and the answer to it, or two of them side by side. */
export class Exchange {
  readonly element = create('section', 'exchange');
  answers: AnswerView[] = [];
  readonly said: string;
  private readonly events: ExchangeEvents;
  private readonly bubble = create('div', 'said');
  private readonly side = create('div', 'branches');
  private readonly again = button('Another answer', () => this.events.onFork(this));

  constructor(said: string, events: ExchangeEvents) {
    this.said = said;
    this.events = events;
    this.showSaid();
    this.element.append(create('h2', 'unseen', 'You'), this.bubble, create('h2', 'unseen', 'The model'));
  }

  get isForked(): boolean {
    return this.answers.length > 1;
  }

  /** The place of an answer that is to be written. */
  addAnswer(): AnswerView {
    const view = new AnswerView();
    this.answers.push(view);
    if (this.isForked) this.split();
    else this.element.append(view.element);
    return view;
  }

  /** This answer alone is left. */
  keep(answer: number): void {
    const kept = this.answers[answer]!;
    this.answers = [kept];
    this.side.remove();
    this.element.append(kept.element);
  }

  /** Another answer can be asked for. */
  set isLast(isLast: boolean) {
    if (isLast && !this.isForked) this.answers[0]?.addAction(this.again);
    else this.again.remove();
  }

  /** While the model writes, nothing is changed. */
  set isBusy(isBusy: boolean) {
    this.element.classList.toggle('is-busy', isBusy);
  }

  private split(): void {
    this.element.append(this.side);
    showBranches(this.side, BRANCHES, this.answers.map(({ element }) => element), (n) => this.events.onKeep(this, n));
  }

  private showSaid(): void {
    const text = create('p', 'bubble', this.said);
    text.dir = 'auto';
    const edit = button('Edit', () => this.edit());
    edit.ariaLabel = 'Edit what you said, and go on from there';
    this.bubble.replaceChildren(text, edit);
  }

  private edit(): void {
    const form = create('div', 'edit');
    const field = create('textarea', 'field-text');
    field.value = this.said;
    field.ariaLabel = 'What you say instead';
    const leave = (): void => {
      this.showSaid();
      this.bubble.querySelector('button')!.focus({ preventScroll: true });
    };
    const take = (): void => {
      if (field.value.trim() !== '') this.events.onEdit(this, field.value.trim());
    };
    const actions = create('p', 'bar');
    const say = button('Say this instead', take);
    say.className = 'primary';
    actions.append(say, button('Cancel', leave));
    form.append(field, actions);
    form.addEventListener('keydown', (event) => {
      if (event.key === 'Escape') leave();
      else if (isSending(event) && event.target === field) take();
      else return;
      event.preventDefault();
      event.stopPropagation();
    });
    this.bubble.replaceChildren(form);
    growWithText(field);
    field.focus();
  }
}
