import type { EachLogits } from '../stories.js';
import type { FloatModel } from './float-model.js';

/** The logits of a baseline, after each token of a text of its own. The model is reset. */
export const eachLogitsOf = (model: FloatModel): EachLogits => (ids, sink) => {
  const { vocabSize } = model.parts;
  let position = 0;
  model.reset();
  model.forwardAll(ids.slice(0, -1), (logits, tokens) => {
    for (let t = 0; t < tokens; t++) sink(logits.subarray(t * vocabSize, (t + 1) * vocabSize), position++);
  });
};
