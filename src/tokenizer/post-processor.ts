/** Post-processors: the ids of a text → the ids with special tokens around them. */
import type { Json } from './json.js';

export type PostProcessor = (ids: number[]) => number[];

const SUPPORTED = 'TemplateProcessing, ByteLevel, Sequence';

/** Builds what a `post_processor` entry does for a single text when special tokens are wanted. */
export function buildPostProcessor(json: Json, isKnownId: (id: number) => boolean): PostProcessor {
  if (json.absent) return (ids) => ids;
  switch (json.type()) {
    case 'Sequence': {
      const steps = json.key('processors').items().map((step) => buildPostProcessor(step, isKnownId));
      return (ids) => steps.reduce((current, step) => step(current), ids);
    }
    case 'ByteLevel':
      return (ids) => ids; // trims offsets, which we do not have
    case 'TemplateProcessing':
      return buildTemplate(json, isKnownId);
    default:
      return json.unsupported('post-processor', SUPPORTED);
  }
}

function buildTemplate(json: Json, isKnownId: (id: number) => boolean): PostProcessor {
  const pieces = json.key('single').items().map((piece) => templatePiece(piece, json.key('special_tokens'), isKnownId));
  return (ids) => {
    const out: number[] = [];
    for (const piece of pieces) for (const id of piece ?? ids) out.push(id);
    return out;
  };
}

/** The ids a piece stands for; null for the text itself. */
function templatePiece(piece: Json, specialTokens: Json, isKnownId: (id: number) => boolean): number[] | null {
  const sequence = piece.key('Sequence');
  if (!sequence.absent) {
    sequence.key('id').oneOf(['A']);
    return null;
  }
  const special = piece.key('SpecialToken');
  if (special.absent) piece.fail('expected {"Sequence": …} or {"SpecialToken": …}');
  const name = special.key('id').string();
  const token = specialTokens.key(name);
  if (token.absent) special.key('id').fail(`${JSON.stringify(name)} is not in special_tokens`);
  return token.key('ids').items().map((item) => {
    const id = item.id();
    if (!isKnownId(id)) item.fail(`no token has the id ${id}`);
    return id;
  });
}
