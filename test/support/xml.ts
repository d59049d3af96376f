/** A parsed element; text is left out. */
export interface Element {
  readonly name: string;
  readonly attributes: ReadonlyMap<string, string>;
  readonly children: Element[];
  text: string;
}

/** Reads a well-formed XML document without a prologue. @throws an Error that says where it is not. */
export function parseXml(source: string): Element {
  const root: Element = { name: '', attributes: new Map(), children: [], text: '' };
  const open = [root];
  let at = 0;
  const fail = (what: string): never => { throw new Error(`${what} at ${at}: ${source.slice(at, at + 60)}`); };
  const decode = (text: string): string => {
    if (/[<]|&(?!(amp|lt|gt|quot);)/.test(text)) fail(`unescaped text ${JSON.stringify(text)}`);
    return text.replace(/&(amp|lt|gt|quot);/g, (_, name: string) => ({ amp: '&', lt: '<', gt: '>', quot: '"' })[name]!);
  };
  while (at < source.length) {
    const next = source.indexOf('<', at);
    const text = source.slice(at, next < 0 ? undefined : next);
    const top = open.at(-1)!;
    top.text += decode(text);
    if (open.length === 1 && text.trim() !== '') fail('text outside the document');
    if (next < 0) break;
    at = next;
    const end = /^<\/([\w-]+)>/.exec(source.slice(at, at + 80));
    if (end) {
      if (open.length < 2 || top.name !== end[1]) fail(`</${end[1]}> closes <${top.name}>`);
      open.pop();
      at += end[0].length;
      continue;
    }
    const tag = /^<([\w-]+)((?: [\w:-]+="[^"<]*")*)(\/?)>/.exec(source.slice(at)) ?? fail('no tag');
    const attributes = new Map<string, string>();
    for (const [, name, value] of tag[2]!.matchAll(/ ([\w:-]+)="([^"]*)"/g)) {
      if (attributes.has(name!)) fail(`${name} is given twice`);
      attributes.set(name!, decode(value!));
    }
    const element: Element = { name: tag[1]!, attributes, children: [], text: '' };
    top.children.push(element);
    if (tag[3] === '') open.push(element);
    at += tag[0].length;
  }
  if (open.length !== 1 || root.children.length !== 1) fail(`${open.length - 1} elements are open`);
  return root.children[0]!;
}

/** An element and all that are in it. */
export function* everyElement(element: Element): Generator<Element> {
  yield element;
  for (const child of element.children) yield* everyElement(child);
}
