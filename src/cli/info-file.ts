import { countWeights, inspect, type FileInfo, type MetadataInfo, type CountWeightsOptions, type RemoteOptions, type WeightCounts } from '../index.js';
import { formatBytes, formatCount, onOneLine, plural } from './terminal.js';

/** Longest text, and longest list, that is shown of a value. */
const SHOWN_CHARACTERS = 60;
const SHOWN_ITEMS = 4;
/** Lists in lists and objects in objects: what lies deeper is not shown. A file may nest them until the stack is full. */
const SHOWN_DEPTH = 8;

/** What a file says about itself, for people, or with `json` for programs. Long values are cut. */
export async function describeFile(path: string, json: boolean, options: RemoteOptions): Promise<string> {
  const info = await inspect(path, options);
  return json ? JSON.stringify(report(info), null, 2) : tables(info);
}

/** How many weights of each ternary tensor are -1, 0 and +1. */
export async function describeWeights(path: string, json: boolean, options: CountWeightsOptions): Promise<string> {
  const all: WeightCounts[] = [];
  for await (const counts of countWeights(path, options)) all.push(counts);
  if (json) return JSON.stringify(all, null, 2);
  const share = (count: number, { shape }: WeightCounts): string => `${((100 * count) / (shape[0]! * shape[1]!)).toFixed(1)} %`.padStart(7);
  const rows = all.map((each) => {
    const [least, greatest] = each.scales.map((scale) => scale.toPrecision(4));
    return [each.name, `[${each.shape.join(', ')}]`, share(each.minus, each), share(each.zero, each), share(each.plus, each), least === greatest ? least! : `${least} to ${greatest}`];
  });
  return columns([['tensor', 'shape', '     -1', '      0', '     +1', 'scale'], ...rows]).join('\n');
}

function report({ name, format, files, metadata, tensors }: FileInfo): unknown {
  const shorten = ({ type, value }: MetadataInfo): unknown => {
    const isLong = (typeof value === 'string' && value.length > SHOWN_CHARACTERS) || (Array.isArray(value) && value.length > SHOWN_ITEMS);
    if (!isLong) return { type, value: withoutDepths(value) };
    return { type, length: value.length, value: withoutDepths(value.slice(0, typeof value === 'string' ? SHOWN_CHARACTERS : SHOWN_ITEMS)) };
  };
  return {
    name, format, files, metadata: Object.fromEntries([...metadata].map(([key, entry]) => [key, shorten(entry)])), tensors,
  };
}

function tables({ name, format, files, metadata, tensors }: FileInfo): string {
  const size = files.reduce((sum, { bytes }) => sum + bytes, 0);
  const lines = [`${onOneLine(name)}: ${format}, ${formatBytes(size)}${files.length > 1 ? ` in ${plural(files.length, 'file')}` : ''}`];
  if (files.length > 1) lines.push('', ...columns(files.map((file) => [file.name, formatBytes(file.bytes)])));
  lines.push('', plural(metadata.size, 'metadata key'));
  lines.push(...columns([...metadata].map(([key, { type, value }]) => [key, type, brief(withoutDepths(value))])));
  const bytes = tensors.reduce((sum, tensor) => sum + tensor.bytes, 0);
  lines.push('', `${plural(tensors.length, 'tensor')}, ${formatBytes(bytes)}`);
  lines.push(...columns(tensors.map((tensor) => [
    tensor.name, tensor.type, `[${tensor.shape.join(', ')}]`, formatCount(tensor.bytes), ...(files.length > 1 ? [tensor.file] : []),
  ])));
  return lines.join('\n');
}

/** The value with an ellipsis in place of what lies too deep. */
function withoutDepths(value: unknown, depth = SHOWN_DEPTH): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (depth === 0) return '…';
  if (Array.isArray(value)) return value.map((item) => withoutDepths(item, depth - 1));
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, withoutDepths(item, depth - 1)]));
}

function brief(value: unknown): string {
  if (Array.isArray(value)) {
    const items = value.slice(0, SHOWN_ITEMS).map(brief).join(', ');
    return value.length > SHOWN_ITEMS ? `[${items}, …] (${formatCount(value.length)})` : `[${items}]`;
  }
  if (typeof value === 'string' && value.length > SHOWN_CHARACTERS) {
    return `${JSON.stringify(value.slice(0, SHOWN_CHARACTERS))}… (${plural(value.length, 'character')})`;
  }
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 2 * SHOWN_CHARACTERS ? `${text.slice(0, SHOWN_CHARACTERS)}…` : text;
}

/** Indented lines of cells, each column as wide as its widest. */
function columns(table: readonly (readonly string[])[]): string[] {
  const rows = table.map((row) => row.map(onOneLine));
  const widths: number[] = [];
  for (const row of rows) row.forEach((cell, n) => { widths[n] = Math.max(widths[n] ?? 0, cell.length); });
  return rows.map((row) => `  ${row.map((cell, n) => cell.padEnd(widths[n]!)).join('  ')}`.trimEnd());
}
