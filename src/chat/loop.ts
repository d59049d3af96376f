import { equal } from './operators.js';
import { callable, namespace, tuple, undefinedValue, type Namespace, type Value } from './values.js';

export interface Loop {
  /** What the template sees as `loop`. */
  readonly value: Namespace;
  goTo(index: number): void;
}

/** `loop` of one `for`. */
export function loopValues(items: readonly Value[]): Loop {
  const value = namespace([], true);
  const { values } = value;
  const { length } = items;
  let index = 0;
  let last: Value | undefined;
  values.set('length', BigInt(length));
  values.set('cycle', callable('cycle', (run, { positional }) => positional[index % positional.length] ?? run.fail('loop.cycle without arguments')));
  values.set('changed', callable('changed', (run, { positional }) => {
    const now = tuple(positional);
    const isSame = last !== undefined && equal(run, last, now);
    last = now;
    return !isSame;
  }));
  for (const name of ['depth', 'depth0']) values.set(name, undefinedValue(`loop.${name} is not supported`, true));
  const goTo = (to: number): void => {
    index = to;
    values.set('index', BigInt(index + 1));
    values.set('index0', BigInt(index));
    values.set('revindex', BigInt(length - index));
    values.set('revindex0', BigInt(length - index - 1));
    values.set('first', index === 0);
    values.set('last', index === length - 1);
    values.set('previtem', items[index - 1] ?? undefinedValue('there is no item before the first'));
    values.set('nextitem', items[index + 1] ?? undefinedValue('there is no item behind the last'));
  };
  return { value, goTo };
}
