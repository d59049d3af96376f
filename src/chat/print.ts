import { mapPieces, plain, TextBuilder, type Text } from './text.js';
import { isText, isUndefined, nameOf, type Dict, type Value } from './values.js';
import type { Run } from './run.js';

/** A value as `{{ }}` prints it: Python's `str`. */
export function toText(run: Run, value: Value): Text {
  if (isText(value)) return value;
  if (isUndefined(value)) return value.isRefused ? run.fail(value.why) : plain('');
  const builder = new TextBuilder(run);
  represent(run, value, builder, 0);
  return builder.done();
}

/** Python's `repr`, which is also how what is in a list is printed. */
function represent(run: Run, value: Value, out: TextBuilder, depth: number): void {
  run.checkDataDepth(depth);
  if (typeof value === 'boolean') return void out.write(value ? 'True' : 'False');
  if (typeof value === 'bigint') return void out.write(value.toString());
  if (typeof value === 'number') return void out.write(floatText(value));
  switch (value.kind) {
    case 'text': return quote(run, value, out);
    case 'none': return void out.write('None');
    case 'undefined': return value.isRefused ? run.fail(value.why) : void out.write('Undefined');
    case 'dict': return representDict(run, value, out, depth);
    case 'list': case 'tuple': {
      const isList = value.kind === 'list';
      out.write(isList ? '[' : '(');
      value.items.forEach((item, i) => {
        if (i > 0) out.write(', ');
        represent(run, item, out, depth + 1);
      });
      return void out.write(isList ? ']' : value.items.length === 1 ? ',)' : ')');
    }
    case 'view': return run.fail('what .items(), .keys() or .values() give is not printed; make a list of it first (| list)');
    case 'iterator': return run.fail('what a filter such as map gives is not printed; make a list of it first (| list)');
    default: return run.fail(`${nameOf(value)} is not printed`);
  }
}

function representDict(run: Run, { entries }: Dict, out: TextBuilder, depth: number): void {
  out.write('{');
  let isFirst = true;
  for (const [key, value] of entries.values()) {
    if (!isFirst) out.write(', ');
    isFirst = false;
    represent(run, key, out, depth + 1);
    out.write(': ');
    represent(run, value, out, depth + 1);
  }
  out.write('}');
}

const SHORT: Record<string, string> = { '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t' };

function quote(run: Run, text: Text, out: TextBuilder): void {
  const mark = text.text.includes("'") && !text.text.includes('"') ? '"' : "'";
  const escape = (char: string): string => {
    if (SHORT[char] !== undefined || char === mark) return SHORT[char] ?? `\\${char}`;
    const hex = char.codePointAt(0)!.toString(16);
    return hex.length <= 2 ? `\\x${hex.padStart(2, '0')}` : hex.length <= 4 ? `\\u${hex.padStart(4, '0')}` : `\\U${hex.padStart(8, '0')}`;
  };
  const special = mark === "'" ? /[\\']|(?! )[\p{C}\p{Z}]/gu : /[\\"]|(?! )[\p{C}\p{Z}]/gu;
  out.write(mark).add(mapPieces(run, text, (part) => part.replace(special, escape))).write(mark);
}

/** A float as Python writes it: the shortest digits that give it again, with a point or an exponent. */
export function floatText(value: number): string {
  if (Number.isNaN(value)) return 'nan';
  if (!Number.isFinite(value)) return value < 0 ? '-inf' : 'inf';
  if (Object.is(value, -0)) return '-0.0';
  const [mantissa, exponentText] = value.toExponential().split('e') as [string, string];
  const exponent = Number(exponentText);
  if (exponent < -4 || exponent >= 16) return `${mantissa}e${exponent < 0 ? '-' : '+'}${String(Math.abs(exponent)).padStart(2, '0')}`;
  const text = String(value);
  if (!text.includes('e')) return text.includes('.') ? text : `${text}.0`;
  return value.toFixed(-exponent + mantissa.replace(/^-?\d\.?/, '').length);
}

