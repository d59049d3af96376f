import type { ConstraintSpec } from '../constrain/compile.js';
import type { Constraint } from '../constrain/constraint.js';
import { BATCH_OPTIONS, batchTexts, generateBatch, type BatchOptions, type BatchPrompt, type BatchResult, type BatchText } from './batch.js';
import type { TextWriter } from './text-writer.js';
import { givenOptions } from '../options.js';

/** Puts prompts, the model's defaults and constraints together for `generateBatch`. */
export async function writeBatch(host: TextWriter, prompts: readonly BatchPrompt[], given: BatchOptions): Promise<BatchResult[]> {
  const options: BatchOptions = { ...host.generationDefaults, ...givenOptions('generateBatch', given, BATCH_OPTIONS) };
  const compiled: { spec: ConstraintSpec; eosTokenIds: readonly number[] | undefined; constraint: Constraint }[] = [];
  const texts: BatchText[] = [];
  for (const [index, { prompt, options: asked }] of batchTexts(prompts, options).entries()) {
    const ids = host.promptIds(`generateBatch: prompt ${index}`, prompt, asked);
    const own = { ...asked, eosTokenIds: host.endsOf(prompt, asked) };
    const { constraint: spec, eosTokenIds } = own;
    if (spec === undefined) {
      texts.push({ ids, options: own, constraint: undefined });
      continue;
    }
    let known = compiled.find((each) => each.spec === spec && each.eosTokenIds === eosTokenIds);
    if (!known) compiled.push((known = { spec, eosTokenIds, constraint: await host.compile(spec, own) }));
    texts.push({ ids, options: own, constraint: known.constraint.start(ids) });
  }
  const needsText = texts.some(({ options: { stop } }) => (stop?.length ?? 0) > 0);
  return generateBatch(host.model, host.hasTokenizer || needsText ? host.tokenizer : undefined, texts, options);
}
