import { missingPart } from './errors.js';

/* What a model can do beside writing one text, and what is loaded for it. In a bundle's first chunk each of these would be a file name more. */

export const parts = {
  batch: () => import('./generate/text-batch.js').catch(missingPart),
  beams: () => import('./generate/text-beams.js').catch(missingPart),
  chats: () => import('./generate/chat-host.js').catch(missingPart),
  prefixCache: () => import('./generate/prefix-cache.js').catch(missingPart),
  scoreBatch: () => import('./scoring/score-batch.js').catch(missingPart),
  choose: () => import('./scoring/choose.js').catch(missingPart),
  embed: () => import('./scoring/embed.js').catch(missingPart),
  perplexity: () => import('./scoring/perplexity.js').catch(missingPart),
};

export type Parts = typeof parts;
