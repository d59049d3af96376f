import type { ModelInfo } from '../index.js';
import { formatBytes, plural } from './terminal.js';

/* What a model takes, for `info` and `prune`. */

/** What lies in memory: what the model is, and what is set aside for texts. */
export function memoryOfModel({ memoryBytes, embeddingBytes, stateBytesPerToken, contextTokens }: ModelInfo): string {
  const texts = stateBytesPerToken === 0 ? 0 : stateBytesPerToken * contextTokens;
  const parts = [
    `${formatBytes(memoryBytes - embeddingBytes - texts)} of weights and work space`,
    `${formatBytes(embeddingBytes)} of the embedding table`,
    ...(texts > 0 ? [`${formatBytes(texts)} for keys and values of ${plural(contextTokens, 'token')}`] : []),
  ];
  return `${formatBytes(memoryBytes)}: ${parts.join(', ')}`;
}

/** What is kept of a text. */
export function memoryOfText({ stateBytes, stateBytesPerToken, windowedBytesPerToken }: ModelInfo): string {
  if (stateBytesPerToken === 0) return `${formatBytes(stateBytes)}, whatever its length`;
  const growing = stateBytesPerToken - windowedBytesPerToken;
  const parts = [
    ...(stateBytes > 0 ? [formatBytes(stateBytes)] : []),
    ...(growing > 0 ? [`${formatBytes(growing)} for each token`] : []),
    ...(windowedBytesPerToken > 0 ? [`${formatBytes(windowedBytesPerToken)} for each of the last tokens, as many as the windows have`] : []),
  ];
  return parts.join(', and ');
}
