import { ConfigError } from '../errors.js';
import { MAX_TOKENIZER_VALUES, parseJsonObject } from '../formats/bytes.js';
import type { Checkpoint } from './checkpoint.js';
import { Tokenizer } from '../tokenizer/tokenizer.js';

/** A vocabulary may be padded to a round number, but not by more than this: then the tokenizer is another model's. */
const MAX_VOCABULARY_PADDING = 1024;

/**
 * The tokenizer that came with a checkpoint, or undefined.
 * @param chatTemplate in place of the one that came with it.
 * @throws FormatError, TokenizerError; ConfigError when it does not fit the model's vocabulary.
 */
export async function loadTokenizer({ texts, blueprint: { config } }: Checkpoint, chatTemplate?: string): Promise<Tokenizer | undefined> {
  const file = texts.tokenizerName ?? 'tokenizer.json';
  const json = texts.tokenizerJson ?? (texts.tokenizer === undefined ? undefined : parseJsonObject(file, texts.tokenizer, MAX_TOKENIZER_VALUES));
  if (json === undefined) return undefined;
  const tokenizer = await Tokenizer.fromJSON(json, {
    file,
    chatTemplates: chatTemplate === undefined ? texts.chatTemplates : new Map([['default', chatTemplate]]),
    config: texts.tokenizerConfig === undefined ? undefined : parseJsonObject('tokenizer_config.json', texts.tokenizerConfig),
  });
  const surplus = config.vocabSize - tokenizer.vocabSize;
  if (surplus < 0 || surplus >= MAX_VOCABULARY_PADDING) {
    throw new ConfigError(
      `${file}: has ${tokenizer.vocabSize} tokens but the model has a vocabulary of ${config.vocabSize}: they do not belong together`,
    );
  }
  return tokenizer;
}
