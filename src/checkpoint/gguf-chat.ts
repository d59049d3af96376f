import type { GgufMetadata } from '../formats/gguf.js';
import { KEYS, textValue } from './gguf-metadata.js';

/** Chat templates of a file, by name: `tokenizer.chat_template`, and others under their names behind it (ggml/docs/gguf.md). */
export function ggufChatTemplates(file: string, metadata: GgufMetadata): Record<string, string> | undefined {
  const found: Record<string, string> = {};
  for (const key of metadata.keys()) {
    const name = key === KEYS.chatTemplate ? 'default' : key.startsWith(`${KEYS.chatTemplate}.`) ? key.slice(KEYS.chatTemplate.length + 1) : undefined;
    if (name !== undefined) found[name] = textValue(file, metadata, key)!;
  }
  return Object.keys(found).length > 0 ? found : undefined;
}
