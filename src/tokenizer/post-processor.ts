/** Post-processors: the ids of a text → the ids with special tokens around them. */
import { show } from '../errors.js';
import type { Json } from './json.js';

export type PostProcessor = (ids: number[]) => number[];

/** Special tokens that all templates of a file add together; an empty piece counts as one. Real ones add two or three. */
const MAX_TEMPLATE_IDS = 1024;

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
  const readIds = specialTokenReader(json.key('special_tokens'), isKnownId);
  const pieces = json.key('single').items().map((piece) => templatePiece(piece, readIds));
  const second = pieces.indexOf(null, pieces.indexOf(null) + 1);
  // Each would double the text, again for every further template.
  if (second > pieces.indexOf(null)) json.key('single').at(second, null).fail('a second Sequence A is not supported');
  return (ids) => {
    const out: number[] = [];
    for (const piece of pieces) for (const id of piece ?? ids) out.push(id);
    return out;
  };
}

/** The ids a piece stands for; null for the text itself. */
function templatePiece(piece: Json, readIds: (name: Json) => number[] | undefined): number[] | null {
  const sequence = piece.key('Sequence');
  if (!sequence.absent) {
    sequence.key('id').oneOf(['A']);
    return null;
  }
  const special = piece.key('SpecialToken');
  if (special.absent) piece.fail('expected {"Sequence": …} or {"SpecialToken": …}');
  const name = special.key('id');
  const ids = readIds(name) ?? name.fail(`${show(name.value)} is not in special_tokens`);
  piece.spend('ids from templates', Math.max(1, ids.length), MAX_TEMPLATE_IDS);
  return ids;
}

/** Looks names up in `special_tokens`, and reads the ids of each once. */
function specialTokenReader(specialTokens: Json, isKnownId: (id: number) => boolean): (name: Json) => number[] | undefined {
  const known = new Map<string, number[]>();
  return (name) => {
    const text = name.string();
    let ids = known.get(text);
    if (ids !== undefined) return ids;
    const token = specialTokens.key(text);
    if (token.absent) return undefined;
    const list = token.key('ids');
    if (list.array().length > MAX_TEMPLATE_IDS) list.fail(`more than ${MAX_TEMPLATE_IDS} ids`);
    ids = list.items().map((item) => {
      const id = item.id();
      return isKnownId(id) ? id : item.fail(`no token has the id ${id}`);
    });
    known.set(text, ids);
    return ids;
  };
}
