import type { Operator } from './operators.js';
import type { Value } from './values.js';

/*
 * What a template is once it is parsed. `line` is where an error is said to be.
 */
export type Expression =
  | { readonly type: 'literal'; readonly line: number; readonly value: Value }
  | { readonly type: 'name'; readonly line: number; readonly name: string }
  | { readonly type: 'list' | 'tuple'; readonly line: number; readonly items: readonly Expression[] }
  | { readonly type: 'dict'; readonly line: number; readonly entries: readonly (readonly [key: Expression, value: Expression])[] }
  | { readonly type: 'and' | 'or'; readonly line: number; readonly left: Expression; readonly right: Expression }
  | { readonly type: 'not'; readonly line: number; readonly of: Expression }
  | { readonly type: 'sign'; readonly line: number; readonly sign: '-' | '+'; readonly of: Expression }
  | { readonly type: 'compute'; readonly line: number; readonly operator: Operator; readonly left: Expression; readonly right: Expression }
  | { readonly type: 'concat'; readonly line: number; readonly parts: readonly Expression[] }
  | { readonly type: 'compare'; readonly line: number; readonly first: Expression; readonly rest: readonly (readonly [Comparison, Expression])[] }
  | { readonly type: 'choose'; readonly line: number; readonly test: Expression; readonly yes: Expression; readonly no: Expression | undefined }
  | { readonly type: 'attribute'; readonly line: number; readonly of: Expression; readonly name: string }
  | { readonly type: 'item'; readonly line: number; readonly of: Expression; readonly key: Expression }
  | { readonly type: 'slice'; readonly line: number; readonly of: Expression; readonly bounds: readonly (Expression | undefined)[] }
  | { readonly type: 'call'; readonly line: number; readonly of: Expression; readonly given: ArgumentList }
  | { readonly type: 'filter'; readonly line: number; readonly of: Expression; readonly filter: FilterUse }
  | { readonly type: 'test'; readonly line: number; readonly of: Expression; readonly name: string; readonly given: ArgumentList };

export type Comparison = '==' | '!=' | '<' | '<=' | '>' | '>=' | 'in' | 'not in';

export interface ArgumentList {
  readonly positional: readonly Expression[];
  readonly named: readonly (readonly [name: string, value: Expression])[];
  /** Behind a `*`: a list of more. */
  readonly more?: Expression;
  /** Behind a `**`: a dictionary of more. */
  readonly moreNamed?: Expression;
}

export interface FilterUse {
  readonly name: string;
  readonly line: number;
  readonly given: ArgumentList;
}

/** What is assigned to: a name, names in a tuple, or a namespace's value. */
export type Target =
  | { readonly type: 'name'; readonly line: number; readonly name: string }
  | { readonly type: 'names'; readonly line: number; readonly targets: readonly Target[] }
  | { readonly type: 'member'; readonly line: number; readonly of: string; readonly name: string };

export interface Parameter {
  readonly name: string;
  readonly initial: Expression | undefined;
}

/** What a macro is, and what is between `call` and `endcall`. */
export interface MacroDefinition {
  readonly name: string;
  readonly parameters: readonly Parameter[];
  readonly body: Body;
}

export type Body = readonly Statement[];

export type Statement =
  | { readonly type: 'text'; readonly line: number; readonly value: Value }
  | { readonly type: 'print'; readonly line: number; readonly value: Expression }
  | { readonly type: 'if'; readonly line: number; readonly branches: readonly (readonly [test: Expression, body: Body])[]; readonly otherwise: Body }
  | {
    readonly type: 'for'; readonly line: number; readonly target: Target; readonly over: Expression; readonly filter: Expression | undefined;
    readonly body: Body; readonly otherwise: Body;
  }
  | { readonly type: 'break' | 'continue'; readonly line: number }
  | { readonly type: 'set'; readonly line: number; readonly target: Target; readonly value: Expression }
  | { readonly type: 'capture'; readonly line: number; readonly target: Target; readonly filters: readonly FilterUse[]; readonly body: Body }
  | { readonly type: 'filtered'; readonly line: number; readonly filters: readonly FilterUse[]; readonly body: Body }
  | { readonly type: 'macro'; readonly line: number; readonly macro: MacroDefinition }
  | { readonly type: 'call'; readonly line: number; readonly of: Expression & { readonly type: 'call' }; readonly caller: MacroDefinition }
  | { readonly type: 'scope'; readonly line: number; readonly values: readonly (readonly [target: Target, value: Expression])[]; readonly body: Body };
