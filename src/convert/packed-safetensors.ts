import { packedRows, packRow } from '../formats/packed-rows.js';
import { writeSafetensors } from '../formats/safetensors-writer.js';
import { parseOptional, type Checkpoint } from '../checkpoint/checkpoint.js';
import { DEFAULT_TEMPLATE } from '../chat/template-sources.js';
import { QUANTIZATION_CONFIG } from '../checkpoint/packed-weights.js';
import { hfScaleName } from '../architectures/blueprint.js';
import { familyOf } from '../architectures/registry.js';
import { missingPart } from '../errors.js';
import { givenOptions } from '../options.js';
import type { ModelSource } from '../sources/source.js';
import { READING_OPTIONS, type SourceOptions } from './open.js';
import { convertSource, toJson, type Change, type Layout, type TernaryLayout } from './plan.js';

export type ConvertToSafetensorsOptions = SourceOptions;

/** Bytes of a file of a folder. Those of one file follow each other. */
export interface FilePart {
  readonly file: string;
  readonly bytes: Uint8Array;
}

/**
 * Converts a model to a folder in Hugging Face layout with packed weights, four to a byte, as transformers keeps those of BitNet
 * models: yields config.json, generation_config.json and the tokenizer's files as far as there are any, then model.safetensors. A
 * model loaded from it gives the same logits, bit for bit; the same input gives the same bytes. One tensor is held at a time.
 * @throws as `MatMulFreeLM.load` does.
 */
export function convertToSafetensors(source: ModelSource, options: ConvertToSafetensorsOptions = {}): AsyncGenerator<FilePart, void, undefined> {
  return convertChangedToSafetensors('convertToSafetensors', source, options);
}

/** @internal As `convertToSafetensors`, of what `change` leaves of the model. @param what the caller's function. */
export async function* convertChangedToSafetensors(
  what: string, source: ModelSource, options: ConvertToSafetensorsOptions, change?: Change,
): AsyncGenerator<FilePart, void, undefined> {
  const given = givenOptions(what, options, READING_OPTIONS);
  yield* convertSource(what, source, given, () => LAYOUT, async function* (checkpoint, _tokenizer, tensors) {
    const { generationConfig, tokenizer, tokenizerConfig, chatTemplates } = checkpoint.texts;
    const texts = {
      'config.json': await configJson(checkpoint), 'generation_config.json': generationConfig,
      'tokenizer.json': tokenizer, 'tokenizer_config.json': withTemplates(tokenizerConfig, chatTemplates),
      'chat_template.jinja': chatTemplates?.size === 1 ? chatTemplates.get(DEFAULT_TEMPLATE) : undefined,
    };
    for (const [file, text] of Object.entries(texts)) {
      if (text !== undefined) yield { file, bytes: new TextEncoder().encode(text) };
    }
    for await (const bytes of writeSafetensors(tensors, { format: 'pt' })) yield { file: 'model.safetensors', bytes };
  }, change);
}

const LAYOUT: Layout<'U8'> = {
  nameOf: (tensor) => tensor.hf,
  scaleNameOf: hfScaleName,
  ternary: packed,
  grouped: ({ shape: [rows = 0, columns = 0] }) => ({ ...packed(rows, columns), hasScaleTensor: true }),
};

function packed(rows: number, columns: number): TernaryLayout<'U8'> {
  const stored = packedRows(rows);
  return {
    type: 'U8', shape: [stored, columns], byteLength: stored * columns,
    putRow: (bytes, row, trits) => packRow(trits, row, rows, columns, bytes),
  };
}

/** Several templates have their names in tokenizer_config.json. */
function withTemplates(config: string | undefined, templates: ReadonlyMap<string, string> = new Map()): string | undefined {
  if (templates.size < 2) return config;
  const named = [...templates].map(([name, template]) => ({ name, template }));
  return toJson('tokenizer_config.json', { ...parseOptional('tokenizer_config.json', config), chat_template: named }, 2);
}

/** What the model is, over what else the source's config.json says. */
async function configJson({ blueprint, texts }: Checkpoint): Promise<string> {
  const { droppedKeys } = await import('../architectures/dropped.js').catch(missingPart);
  const { architectures, ...config } = { ...(await (await familyOf(blueprint.architecture))!.keysOf(blueprint.full ?? blueprint, 'hf')), ...droppedKeys(blueprint) };
  return toJson('config.json', { architectures, ...parseOptional('config.json', texts.config), ...config, quantization_config: QUANTIZATION_CONFIG }, 2) + '\n';
}
