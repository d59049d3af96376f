import type { ModelInfo } from '../index.js';
import { formatBytes } from './terminal.js';

/* What a model takes, for `info` and `prune`. */

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
