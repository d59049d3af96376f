import { GLU, MLGRU, BitLinear, type Model } from 'matmulfree';
import { FloatHead } from '../src/layers/float-head.js';
import { GroupedLinear } from '../src/layers/grouped-linear.js';

/** All BitLinear layers of a MatMul-free LM, in the order in which a token goes through them. */
export function bitLinears({ parts: { blocks, head } }: Model): BitLinear[] {
  const ofBlocks = blocks.flatMap(({ parts: { tokenMixer, channelMixer } }): BitLinear[] => {
    if (!(tokenMixer instanceof MLGRU && channelMixer instanceof GLU)) throw new TypeError('an unknown mixer');
    return [...Object.values(tokenMixer.parts), ...Object.values(channelMixer.parts)].filter((part) => part instanceof BitLinear);
  });
  if (!(head instanceof BitLinear)) throw new TypeError('an unknown head');
  return [...ofBlocks, head];
}

/** Bytes of a model's ternary matrices with their scales, of its embeddings, and of its head; a table that is both counts once. */
export function packedBytes(model: Model): number {
  return streamedBytes(model) + (isTied(model) ? 0 : model.parts.embeddings.byteLength);
}

/** Of these, what every decoded token reads: all but the rows of the embeddings that are other tokens'. */
export function streamedBytes({ parts: { blocks, head } }: Model): number {
  const mixers = blocks.flatMap(({ parts: { tokenMixer, channelMixer } }) => [tokenMixer, channelMixer] as readonly { readonly parts?: object }[]);
  const parts: unknown[] = [...mixers.flatMap((mixer) => Object.values(mixer?.parts ?? {})), head];
  return parts.reduce((sum: number, part) => {
    if (part instanceof FloatHead) return sum + part.bytes.byteLength;
    return part instanceof BitLinear || part instanceof GroupedLinear ? sum + part.weight.packed.byteLength + part.weight.scales.byteLength : sum;
  }, 0);
}

function isTied({ parts: { blueprint: { embeddings, head } } }: Model): boolean {
  return ('table' in head ? head.table : head.weight) === embeddings;
}
