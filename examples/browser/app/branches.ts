import { button, create } from './page.js';

const SIGNS = ['−', '+'];

/** Shows two texts side by side, each with a button that keeps it. */
export function showBranches(side: HTMLElement, names: readonly string[], texts: readonly HTMLElement[], onKeep: (branch: number) => void): void {
  side.replaceChildren(...names.map((name, n) => {
    const section = create('section', 'branch');
    section.setAttribute('aria-label', name);
    const sign = create('span', 'sign', SIGNS[n]);
    sign.setAttribute('aria-hidden', 'true');
    const head = create('p', 'branch-head');
    head.append(sign, button('Keep this one', () => onKeep(n)));
    section.append(head, texts[n]!);
    return section;
  }));
  side.hidden = false;
  side.lastElementChild!.scrollIntoView({ block: 'nearest' }); // it may begin far from where its reader is
}
