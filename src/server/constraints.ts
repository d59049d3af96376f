import { compileJsonSchema } from '../constrain/compile.js';
import type { Constraint } from '../constrain/constraint.js';
import { ArgumentError } from '../errors.js';
import type { MatMulFreeLM } from '../lm.js';
import { badField } from './errors.js';
import type { Fields } from './fields.js';

/** So many schemas are kept compiled: clients send the same ones again and again. */
const KEPT = 32;

/** JSON that an answer has to be. */
export interface WantedJson {
  readonly schema: unknown;
  /** What is written before and behind it. */
  readonly around?: readonly [string, string];
  /** Where the schema stands in the request. */
  readonly field: string;
}

/** Compiles JSON Schemas of requests. */
export class Constraints {
  private readonly lm: MatMulFreeLM;
  private readonly kept = new Map<string, Constraint>(); // least recently used first

  constructor(lm: MatMulFreeLM) {
    this.lm = lm;
  }

  /** Undefined for undefined. @throws ApiError for a schema that is not supported. */
  compile(wanted: WantedJson | undefined, eosTokenIds: readonly number[]): Constraint | undefined {
    if (!wanted) return undefined;
    const { schema, around, field } = wanted;
    const key = JSON.stringify([schema, around, eosTokenIds]);
    try {
      const constraint = this.kept.get(key) ?? compileJsonSchema(schema, this.lm.tokenizer, { eosTokenIds }, around);
      this.kept.delete(key);
      this.kept.set(key, constraint);
      for (const oldest of this.kept.keys()) if (this.kept.size > KEPT) this.kept.delete(oldest);
      return constraint;
    } catch (error) {
      if (error instanceof ArgumentError) throw badField(field, `cannot be followed: ${error.message}`);
      throw error;
    }
  }
}

/** The schema that `response_format` asks for; undefined for plain text. */
export function readFormat(fields: Fields): WantedJson | undefined {
  const format = fields.object('response_format');
  if (!format) return undefined;
  switch (format.oneOf('type', ['text', 'json_object', 'json_schema'] as const)) {
    case undefined: throw badField('response_format.type', 'is missing');
    case 'text': return undefined;
    case 'json_object': return { schema: { type: 'object' }, field: 'response_format' };
    case 'json_schema': {
      const given = format.object('json_schema');
      const schema = given?.get('schema');
      if (schema === undefined) throw badField('response_format.json_schema.schema', 'is missing');
      return { schema, field: 'response_format.json_schema.schema' };
    }
  }
}
