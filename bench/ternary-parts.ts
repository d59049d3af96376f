import { GLU, MLGRU, BitLinear, type Model } from 'matmulfree';

/** All BitLinear layers of a model, in the order in which a token goes through them. */
export function bitLinears({ parts: { blocks, head } }: Model): BitLinear[] {
  const ofBlocks = blocks.flatMap(({ parts: { tokenMixer, channelMixer } }): BitLinear[] => {
    if (!(tokenMixer instanceof MLGRU && channelMixer instanceof GLU)) throw new TypeError('an unknown mixer');
    return [...Object.values(tokenMixer.parts), ...Object.values(channelMixer.parts)].filter((part) => part instanceof BitLinear);
  });
  if (!(head instanceof BitLinear)) throw new TypeError('an unknown head');
  return [...ofBlocks, head];
}

/** Bytes of ternary matrices, their scales, and the embeddings. */
export function packedBytes(model: Model): number {
  const ternary = bitLinears(model).reduce((sum, { weight }) => sum + weight.packed.byteLength + weight.scales.byteLength, 0);
  return ternary + model.parts.embeddings.byteLength;
}
