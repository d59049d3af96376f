/** Strings of a JSON Schema. */
import { show } from '../errors.js';
import { ANY } from './code-points.js';
import type { Grammar, Node } from './grammar.js';
import type { JsonText } from './json-text.js';
import { patternGrammar } from './pattern.js';
import { countOf, textOf, type Place, type Schema } from './schema-keywords.js';

const LEAP_YEAR = '(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)';
const DATE = `(?:[0-9]{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))|${LEAP_YEAR}-02-29)`;
const CLOCK = '(?:[01][0-9]|2[0-3]):[0-5][0-9]';
const TIME = `${CLOCK}:[0-5][0-9](?:\\.[0-9]{1,9})?(?:Z|[+-]${CLOCK})`;
const N = '[0-9]{1,4}';
const CLOCK_PARTS = `T(?:${N}H(?:${N}M(?:${N}S)?)?|${N}M(?:${N}S)?|${N}S)`;
const BYTE = '(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])';
/** Never "--", which in third and fourth place is kept for names in Punycode (RFC 5891, 4.2.3.1). */
const LABEL = '[A-Za-z0-9](?:-?[A-Za-z0-9]){0,15}';
/** The last one has a letter, unlike in an IPv4 address (RFC 1123, 2.1). */
const LAST_LABEL = '[0-9]{0,8}[A-Za-z](?:-?[A-Za-z0-9]){0,11}';
const ATOM = '[A-Za-z0-9_+-]{1,30}';

/** Whole texts, within the lengths that each format allows: some of what it allows, and nothing that it does not. No leap seconds. */
const FORMATS: ReadonlyMap<string, string> = new Map([
  ['date', DATE],
  ['time', TIME],
  ['date-time', `${DATE}T${TIME}`],
  ['duration', `P(?:${N}W|(?:${N}D|${N}M(?:${N}D)?|${N}Y(?:${N}M(?:${N}D)?)?)(?:${CLOCK_PARTS})?|${CLOCK_PARTS})`], // RFC 3339, appendix A
  ['uuid', '[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}'],
  ['ipv4', `${BYTE}(?:\\.${BYTE}){3}`],
  ['hostname', `(?:${LABEL}\\.){0,6}${LAST_LABEL}`],
  ['email', `${ATOM}(?:\\.${ATOM})?@(?:${LABEL}\\.){1,3}${LAST_LABEL}`],
]);

export function stringGrammar(schema: Schema, place: Place, grammar: Grammar, json: JsonText): Node {
  const min = countOf(schema, 'minLength', 0, place);
  const max = countOf(schema, 'maxLength', Infinity, place);
  const pattern = textOf(schema, 'pattern', place);
  const format = textOf(schema, 'format', place);
  const chars = json.char.bind(json);
  const refuse = (complaint: string): never => place.fail(complaint);
  const parts: Node[] = [];
  if (pattern !== undefined) {
    parts.push(patternGrammar(pattern, grammar, { chars, refuse, around: grammar.repeat(json.plainChar, 0, Infinity) }));
  }
  if (format !== undefined) {
    const whole = FORMATS.get(format) ?? place.fail(`the format ${show(format)} is not supported (supported: ${[...FORMATS.keys()].join(', ')})`);
    parts.push(patternGrammar(whole, grammar, { chars, refuse, around: grammar.empty }));
  }
  if (parts.length === 0) return json.quoted(grammar.repeat(json.anyChar, min, max));
  if (min > 0 || max < Infinity) parts.push(grammar.repeat(json.char(ANY), min, max));
  return json.quoted(parts.reduce((a, b) => grammar.both(a, b)));
}
