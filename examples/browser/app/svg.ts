/** The parts of the small plots. */

/** All of them are so wide, and their axes begin here, so that what is one above the other is of the same token. */
export const WIDTH = 240;
export const LEFT = 46;

export function shape(name: string, attributes: Record<string, string | number>, text = ''): SVGElement {
  const made = document.createElementNS('http://www.w3.org/2000/svg', name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
  made.textContent = text;
  return made;
}

export function label(text: string, x: number, y: number, className: string, anchor: 'start' | 'middle' | 'end'): SVGElement {
  return shape('text', { class: className, x, y: Math.max(9, y), 'text-anchor': anchor }, text);
}

/** A line across the plot. */
export function rule(y: number, className = 'axis'): SVGElement {
  return shape('path', { class: className, d: `M${LEFT} ${y}H${WIDTH}` });
}
