import { shorten } from '../errors.js';
import { Given } from './arguments.js';
import { attributeGetter, LIST_FILTERS, type Filter } from './list-filters.js';
import type { Run } from './run.js';
import { applyTest, isTest } from './tests.js';
import { TEXT_FILTERS } from './text-filters.js';
import { isText, isTrue, isUndefined, iterator, itemsOf, type Arguments, type Value } from './values.js';

/** A test by its name, or whether a value is true. */
function condition(run: Run, [name, ...positional]: readonly Value[], named: Arguments['named']): (value: Value) => boolean {
  if (name === undefined) return (value) => isTrue(run, value);
  if (!isText(name) || !isTest(name.text)) return run.fail(`the test ${isText(name) ? shorten(name.text) : 'given'} is not supported`);
  return (value) => applyTest(run, name.text, value, { positional, named });
}

const select = (wanted: boolean): Filter => (run, value, { positional, named }) => {
  const test = condition(run, positional, named);
  return iterator(itemsOf(run, value).filter((item) => test(item) === wanted));
};

const selectByAttribute = (wanted: boolean): Filter => (run, value, { positional, named }, name) => {
  const [path, ...rest] = positional;
  if (path === undefined) return run.fail(`${name}: the argument attribute is missing`);
  const [attribute, test] = [attributeGetter(run, path), condition(run, rest, named)];
  return iterator(itemsOf(run, value).filter((item) => test(attribute(item)) === wanted));
};

/** `map(attribute='name')`, or a filter by its name. */
const map: Filter = (run, value, given) => {
  const { positional: [name, ...positional], named } = given;
  if (name === undefined) {
    const options = new Given(run, 'map', given, ['attribute', 'default']);
    const [attribute, otherwise] = [attributeGetter(run, options.value('attribute') ?? run.fail('map: neither a filter nor an attribute')), options.value('default')];
    return iterator(itemsOf(run, value).map((item) => {
      const found = attribute(item);
      return isUndefined(found) && otherwise !== undefined ? otherwise : found;
    }));
  }
  if (!isText(name) || !isFilter(name.text)) return run.fail(`the filter ${isText(name) ? shorten(name.text) : 'given'} is not supported`);
  // map('map', …) goes as deep as it is written.
  run.enter();
  const result = iterator(itemsOf(run, value).map((item) => applyFilter(run, name.text, item, { positional, named })));
  run.leave();
  return result;
};

const FILTERS: Record<string, Filter> = {
  ...TEXT_FILTERS,
  ...LIST_FILTERS,
  map,
  select: select(true),
  reject: select(false),
  selectattr: selectByAttribute(true),
  rejectattr: selectByAttribute(false),
};

export function isFilter(name: string): boolean {
  return Object.hasOwn(FILTERS, name);
}

/** `value | name(…)`. */
export function applyFilter(run: Run, name: string, value: Value, given: Arguments): Value {
  run.spend();
  return FILTERS[name]!(run, value, given, name);
}
