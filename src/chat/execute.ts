import { callWith, evaluate, evaluateArguments, filtered } from './evaluate.js';
import { loopValues } from './loop.js';
import { toText } from './print.js';
import type { Run } from './run.js';
import { inner, lookUp, type Scope } from './scope.js';
import type { Body, MacroDefinition, Statement, Target } from './syntax.js';
import { TextBuilder } from './text.js';
import { callable, isTrue, itemsOf, isUndefined, undefinedValue, type Arguments, type Callable, type Value } from './values.js';

/** What a loop is told by its body. */
type Jump = 'break' | 'continue' | undefined;

/** Carries out statements; what they print goes to `out`. */
export function execute(run: Run, scope: Scope, body: Body, out: TextBuilder): Jump {
  run.enter();
  let jump: Jump;
  for (const statement of body) {
    run.spend();
    run.line = statement.line;
    jump = executeOne(run, scope, statement, out);
    if (jump !== undefined) break;
  }
  run.leave();
  return jump;
}

function executeOne(run: Run, scope: Scope, statement: Statement, out: TextBuilder): Jump {
  switch (statement.type) {
    case 'text': return void out.add(toText(run, statement.value));
    case 'print': return void out.add(toText(run, evaluate(run, scope, statement.value)));
    case 'if': {
      const branch = statement.branches.find(([test]) => isTrue(run, evaluate(run, scope, test)));
      return execute(run, scope, branch?.[1] ?? statement.otherwise, out);
    }
    case 'for': return executeFor(run, scope, statement, out);
    case 'break': case 'continue': return statement.type;
    case 'set': return assign(run, scope, statement.target, evaluate(run, scope, statement.value));
    case 'capture': case 'filtered': {
      const own = new TextBuilder(run);
      const jump = execute(run, inner(scope), statement.body, own);
      if (jump !== undefined) return jump; // and what was printed is lost
      const value = statement.filters.reduce<Value>((before, filter) => filtered(run, scope, before, filter), own.done());
      return statement.type === 'capture' ? assign(run, scope, statement.target, value) : void out.add(toText(run, value));
    }
    case 'macro': return void scope.values.set(statement.macro.name, macro(scope, statement.macro));
    case 'call': {
      const { of } = statement;
      const given = evaluateArguments(run, scope, of.given);
      const named = new Map([...given.named, ['caller', macro(scope, statement.caller)]]);
      return void out.add(toText(run, callWith(run, evaluate(run, scope, of.of), { ...given, named }, statement.line)));
    }
    case 'scope': {
      const own = inner(scope);
      for (const [target, value] of statement.values) assign(run, own, target, evaluate(run, scope, value));
      return execute(run, own, statement.body, out);
    }
  }
}

function executeFor(run: Run, scope: Scope, statement: Statement & { readonly type: 'for' }, out: TextBuilder): Jump {
  const { target, filter, body } = statement;
  const over = evaluate(run, scope, statement.over);
  run.line = statement.line;
  const items = itemsOf(run, over).filter((item) => {
    if (filter === undefined) return true;
    const own = inner(scope);
    assign(run, own, target, item);
    return isTrue(run, evaluate(run, own, filter));
  });
  const loop = loopValues(items);
  for (let i = 0; i < items.length; i++) {
    run.spend();
    run.line = statement.line;
    loop.goTo(i);
    const own = inner(scope, [['loop', loop.value]]);
    assign(run, own, target, items[i]!);
    if (execute(run, own, body, out) === 'break') return undefined;
  }
  return items.length === 0 ? execute(run, inner(scope), statement.otherwise, out) : undefined;
}

function assign(run: Run, scope: Scope, target: Target, value: Value): undefined {
  run.line = target.line;
  if (target.type === 'name') scope.values.set(target.name, value);
  else if (target.type === 'member') {
    const owner = lookUp(run, scope, target.of);
    if (typeof owner !== 'object' || owner.kind !== 'namespace' || owner.isFixed) {
      return run.fail(isUndefined(owner) ? owner.why : `${target.of}.${target.name} cannot be set: only what namespace() makes can be changed`);
    }
    owner.values.set(target.name, value);
  } else {
    const items = itemsOf(run, value);
    if (items.length !== target.targets.length) run.fail(`${items.length} values for ${target.targets.length} names`);
    target.targets.forEach((one, i) => assign(run, scope, one, items[i]!));
  }
}

function macro(scope: Scope, definition: MacroDefinition): Callable {
  return callable(definition.name, (run, given) => callMacro(run, scope, definition, given));
}

function callMacro(run: Run, scope: Scope, { name, parameters, body }: MacroDefinition, { positional, named }: Arguments): Value {
  const { line } = run;
  run.spend(4);
  const own = inner(scope);
  own.values.set('caller', named.get('caller') ?? undefinedValue('caller is undefined: the macro is not called by {% call %}'));
  if (positional.length > parameters.length) run.fail(`the macro ${name} is given ${positional.length} arguments, but takes ${parameters.length}`);
  for (const key of named.keys()) {
    const place = parameters.findIndex((parameter) => parameter.name === key);
    if (place < 0 && key !== 'caller') run.fail(`the macro ${name} has no parameter ${key}`);
    if (place >= 0 && place < positional.length) run.fail(`the macro ${name} is given ${key} twice`);
  }
  parameters.forEach((parameter, i) => {
    const value = positional[i] ?? named.get(parameter.name);
    if (value !== undefined) own.values.set(parameter.name, value);
    else if (parameter.initial !== undefined) own.values.set(parameter.name, evaluate(run, own, parameter.initial));
    else own.values.set(parameter.name, undefinedValue(`the macro ${name} was not given ${parameter.name}`));
  });
  const out = new TextBuilder(run);
  execute(run, own, body, out);
  run.line = line;
  return out.done();
}
