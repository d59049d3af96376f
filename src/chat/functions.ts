import { Given } from './arguments.js';
import type { Run } from './run.js';
import { formatDate } from './strftime.js';
import { plain } from './text.js';
import { toText } from './print.js';
import { callable, dict, isDict, isText, isUndefined, itemsOf, list, nameOf, namespace, pairs, type Arguments, type Callable, type Value } from './values.js';

/** Python has 100,000 in its sandbox, too. */
const MAX_RANGE = 100_000;

function range(run: Run, given: Arguments): Value {
  const options = new Given(run, 'range', given, ['start', 'stop', 'step'], 1);
  const first = options.whole('start') ?? run.fail('range: none is no number');
  const [start, stop] = given.positional.length < 2 ? [0, first] : [first, options.whole('stop') ?? run.fail('range: none is no number')];
  const step = options.whole('step') ?? 1;
  if (step === 0) run.fail('range: a step of 0');
  const count = Math.max(0, Math.ceil((stop - start) / step));
  if (count > MAX_RANGE) run.fail(`range: more than ${MAX_RANGE} numbers`);
  run.spend(count);
  return list(Array.from({ length: count }, (_, i) => BigInt(start + i * step)));
}

/** Entries of a dictionary, or of pairs, and arguments with names. */
function entriesOf(run: Run, what: string, { positional, named }: Arguments): [Value, Value][] {
  if (positional.length > 1) run.fail(`${what}: more than one argument without a name`);
  const given = positional.flatMap((value) => (isDict(value) ? pairs(value) : itemsOf(run, value)));
  const entries = given.map((pair): [Value, Value] => {
    const [key, value, ...rest] = itemsOf(run, pair);
    return key === undefined || value === undefined || rest.length > 0 ? run.fail(`${what}: what is given is no pair`) : [key, value];
  });
  return [...entries, ...[...named].map(([name, value]): [Value, Value] => [plain(name), value])];
}

/** What a template may call. */
export const FUNCTIONS: ReadonlyMap<string, Callable> = new Map([
  callable('range', range),
  callable('dict', (run, given) => dict(run, entriesOf(run, 'dict', given))),
  callable('namespace', (run, given) => namespace(entriesOf(run, 'namespace', given).map(([key, value]) =>
    [isText(key) ? key.text : run.fail(`namespace: a name is ${nameOf(key)}`), value]))),
  callable('raise_exception', (run, given) => {
    const message = new Given(run, 'raise_exception', given, ['message'], 1).value('message')!;
    return run.fail(`the template says: ${isUndefined(message) ? message.why : toText(run, message).text.slice(0, 500)}`);
  }),
  callable('strftime_now', (run, given) => plain(formatDate(run, run.now ?? new Date(), new Given(run, 'strftime_now', given, ['format'], 1).text('format') ?? ''))),
].map((one) => [one.name, one]));
