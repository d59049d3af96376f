/** JSON Schema → grammar: the subset that `compileJsonSchema` documents. */
import type { Grammar, Node, Rule } from './grammar.js';
import { JsonText } from './json-text.js';
import {
  copyJson, isOfType, KEYWORDS_OF, listOf, Place, readSchema, typesOf, valuesOf, type Schema, type TypeName,
} from './schema-keywords.js';
import { alternativesOf, areDisjoint, mergeSchemas } from './schema-merge.js';
import { arrayGrammar, numberGrammar, objectGrammar, type Maker } from './schema-parts.js';
import { References } from './schema-references.js';
import { stringGrammar } from './schema-string.js';

/** Schemas that are put together from others, by `allOf` or beside `$ref` and `anyOf`: each may come from two before it. */
const MAX_MERGED = 10_000;

/** Alternatives of `oneOf`, which are compared with each other, and schemas within them that are looked at for it. */
const MAX_EXCLUSIVE = 256;
const MAX_COMPARED = 2 ** 18;

/** @throws ArgumentError naming keyword and place. */
export function schemaGrammar(schema: unknown, grammar: Grammar): Node {
  const place = new Place(grammar.budget);
  return new SchemaBuilder(copyJson(schema, place), place, grammar).build();
}

class SchemaBuilder {
  private readonly root: unknown;
  private readonly place: Place; // of the root
  private readonly references: References;
  private readonly grammar: Grammar;
  private readonly json: JsonText;
  private readonly made = new Map<unknown, Node>(); // by schema
  private readonly rules = new Map<unknown, Rule>(); // by schema that is referred to
  private readonly unmade: { readonly rule: Rule; readonly target: unknown; readonly place: Place }[] = [];
  private readonly opened = new Map<unknown, Schema | undefined>(); // by schema of an alternative
  private readonly maker: Maker;
  private anything: Node | undefined;
  private merged = 0;
  private compared = 0;

  constructor(root: unknown, place: Place, grammar: Grammar) {
    this.root = root;
    this.place = place;
    this.references = new References(root, place);
    this.grammar = grammar;
    this.json = new JsonText(grammar);
    this.maker = { grammar, json: this.json, make: (schema, place) => this.make(schema, place) };
  }

  build(): Node {
    const node = this.make(this.root, this.place);
    // One after another, not within each other: there may be long chains of them.
    for (const { rule, target, place } of this.unmade) rule.body = this.make(target, place);
    return node;
  }

  private make(value: unknown, place: Place): Node {
    let node = this.made.get(value);
    if (!node) {
      const schema = readSchema(value, place);
      node = schema ? this.ofSchema(schema, place) : schema === null ? this.grammar.nothing : this.any();
      this.made.set(value, node);
    }
    return node;
  }

  private ofSchema(schema: Schema, place: Place): Node {
    if (schema['$ref'] !== undefined && Object.keys(schema).length === 1) return this.reference(schema, place);
    const flat = this.flatten(schema, place, 0);
    if (flat === null) return this.grammar.nothing;
    if (flat === undefined) return this.any();
    const alternatives = alternativesOf(flat, place);
    if (!alternatives) return this.plain(flat, place);
    const { key, list } = alternatives;
    if (key === 'oneOf') this.requireDisjoint(list, place);
    const { [key]: _, ...beside } = flat;
    const isAlone = Object.keys(beside).length === 0;
    return this.grammar.choiceOf(list.map((item, i) => this.make(isAlone ? item : { allOf: [beside, item] }, place.in(key, i))));
  }

  /** A rule, so that a schema may contain itself. */
  private reference(schema: Schema, place: Place): Node {
    const found = this.references.resolve(schema, place);
    let rule = this.rules.get(found.target);
    if (!rule) {
      rule = this.grammar.rule(`jsonSchema at ${found.place.path}`);
      this.rules.set(found.target, rule);
      this.unmade.push({ rule, ...found });
    }
    return rule;
  }

  /** A schema with `$ref` and `allOf` put in; undefined for `true`, null for `false`. */
  private flatten(schema: Schema, place: Place, depth: number): Schema | undefined | null {
    const parts = [...(schema['$ref'] === undefined ? [] : [this.references.resolve(schema, place)]), ...(listOf(schema, 'allOf', place) ?? []).map((target, i) => ({ target, place: place.in('allOf', i) }))];
    if (parts.length === 0) return schema;
    if (depth > 32) place.fail('allOf and $ref within each other are nested too deep, or refer to themselves');
    const { $ref: _, allOf: __, ...own } = schema;
    let merged: Schema | undefined = Object.keys(own).length > 0 ? own : undefined;
    for (const { target, place: there } of parts) {
      if (++this.merged > MAX_MERGED) place.fail(`allOf and $ref put together more than ${MAX_MERGED} schemas`);
      const read = readSchema(target, there);
      const part = read && this.flatten(read, there, depth + 1);
      if (part === null) return null;
      if (part) merged = merged ? mergeSchemas(merged, part, place) : part;
    }
    return merged;
  }

  private requireDisjoint(list: readonly unknown[], place: Place): void {
    if (list.length > MAX_EXCLUSIVE) place.fail(`oneOf has more than ${MAX_EXCLUSIVE} alternatives; anyOf may have more`);
    const open = (schema: unknown): Schema | undefined => {
      if (++this.compared > MAX_COMPARED) place.fail('oneOf has too many alternatives with too many properties');
      if (!this.opened.has(schema)) {
        const read = readSchema(schema, place);
        const flat = read && this.flatten(read, place, 0);
        this.opened.set(schema, flat && !alternativesOf(flat, place) ? flat : undefined);
      }
      return this.opened.get(schema);
    };
    for (let i = 0; i < list.length; i++) for (let j = 0; j < i; j++) {
      if (!areDisjoint(list[j], list[i], place, open)) {
        place.fail(`oneOf: a value may be valid for both ${j} and ${i}; use anyOf if it may, or tell them apart by type, const or enum`);
      }
    }
  }

  private plain(schema: Schema, place: Place): Node {
    const types = typesOf(schema, place);
    const values = valuesOf(schema, place);
    if (values) {
      const other = Object.values(KEYWORDS_OF).flat().find((key) => schema[key] !== undefined);
      if (other !== undefined) place.fail(`${other} beside enum or const is not supported`);
      return this.json.oneOf(schema['type'] === undefined ? values : values.filter((value) => isOfType(value, types)));
    }
    return this.grammar.choice(...types.map((type) => this.typed(type, schema, place)));
  }

  private typed(type: TypeName, schema: Schema, place: Place): Node {
    switch (type) {
      case 'object': return objectGrammar(schema, place, this.maker);
      case 'array': return arrayGrammar(schema, place, this.maker);
      case 'string': return stringGrammar(schema, place, this.grammar, this.json);
      case 'integer': return numberGrammar(schema, place, true, this.maker);
      case 'number': return numberGrammar(schema, place, false, this.maker);
      case 'boolean': return this.json.boolean;
      case 'null': return this.json.null;
    }
  }

  /** Any value of JSON. */
  private any(): Node {
    if (!this.anything) {
      const rule = this.grammar.rule('any value');
      this.anything = rule;
      rule.body = this.plain({}, this.place);
    }
    return this.anything;
  }
}
