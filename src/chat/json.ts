import { mapPieces, plain, TextBuilder, compareTexts, type Text } from './text.js';
import { floatText } from './print.js';
import { isText, isUndefined, nameOf, type Dict, type Value } from './values.js';
import type { Run } from './run.js';

/** Options of Python's `json.dumps`, as transformers passes them on. */
export interface JsonStyle {
  readonly indent: string | undefined;
  readonly itemSeparator: string;
  readonly keySeparator: string;
  readonly sortKeys: boolean;
  readonly onlyAscii: boolean;
}

export function toJson(run: Run, value: Value, style: JsonStyle): Text {
  const builder = new TextBuilder(run);
  write(run, value, style, builder, 0);
  return builder.done();
}

function write(run: Run, value: Value, style: JsonStyle, out: TextBuilder, depth: number): void {
  run.checkDataDepth(depth);
  if (typeof value !== 'object') return void out.write(scalar(value));
  switch (value.kind) {
    case 'none': return void out.write('null');
    case 'text': return writeText(run, value, style, out);
    case 'list': case 'tuple':
      return writeAll(run, value.items, '[]', style, out, depth, (item) => write(run, item, style, out, depth + 1));
    case 'dict':
      return writeAll(run, entriesOf(run, value, style), '{}', style, out, depth, ([key, item]) => {
        writeText(run, key, style, out);
        out.write(style.keySeparator);
        write(run, item, style, out, depth + 1);
      });
    default: return run.fail(isUndefined(value) ? `tojson: ${value.why}` : `tojson: ${nameOf(value)} is not a value of JSON`);
  }
}

function scalar(value: boolean | bigint | number): string {
  if (typeof value !== 'number') return String(value);
  return Number.isNaN(value) ? 'NaN' : Number.isFinite(value) ? floatText(value) : value < 0 ? '-Infinity' : 'Infinity';
}

function writeAll<T>(
  run: Run, items: readonly T[], brackets: string, style: JsonStyle, out: TextBuilder, depth: number, each: (item: T) => void,
): void {
  const line = (level: number): string => (style.indent === undefined ? '' : `\n${style.indent.repeat(level)}`);
  out.write(brackets[0]!);
  items.forEach((item, i) => {
    run.spend();
    out.write(`${i > 0 ? style.itemSeparator : ''}${line(depth + 1)}`);
    each(item);
  });
  out.write(`${items.length > 0 ? line(depth) : ''}${brackets[1]!}`);
}

/** Keys are strings in JSON. */
function entriesOf(run: Run, { entries }: Dict, { sortKeys }: JsonStyle): (readonly [Text, Value])[] {
  const result = [...entries.values()].map(([key, value]) => [isText(key) ? key : plain(typeof key === 'object' ? 'null' : scalar(key)), value] as const);
  if (sortKeys) {
    run.spend(result.length * 16);
    result.sort(([a], [b]) => compareTexts(a.text, b.text));
  }
  return result;
}

const SHORT: Record<string, string> = {
  '"': '\\"', '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t', '\f': '\\f', '\b': '\\b',
};

function escape(unit: string): string {
  return SHORT[unit] ?? `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

function writeText(run: Run, text: Text, { onlyAscii }: JsonStyle, out: TextBuilder): void {
  const special = onlyAscii ? /["\\]|[^ -~]/g : /["\\\x00-\x1f]/g;
  out.write('"').add(mapPieces(run, text, (part) => part.replace(special, escape))).write('"');
}
