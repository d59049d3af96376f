/** Enter, but not with Shift, nor while a character is being composed. */
export function isSending({ key, shiftKey, isComposing }: KeyboardEvent): boolean {
  return key === 'Enter' && !shiftKey && !isComposing;
}

/** A field is as high as its text, in older browsers too; how high at most, the style says. */
export function growWithText(field: HTMLTextAreaElement): void {
  if (CSS.supports('field-sizing', 'content')) return;
  const fit = (): void => {
    field.style.height = 'auto';
    field.style.height = `${field.scrollHeight + field.offsetHeight - field.clientHeight}px`;
  };
  field.addEventListener('input', fit);
  fit();
}
