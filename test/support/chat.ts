import type { ChatFormat } from '../../src/chat/format.js';
import type { TemplatePiece } from '../../src/chat/text.js';
import { json, type Files } from './checkpoints.js';
import { TINY_BITNET, TINY_HYBRID, tinyDecoder, tinyHybrid } from './families.js';
import { configJson, randomTensors, safetensors } from './checkpoints.js';

/** Characters, and four control tokens; two of them are special. */
const CHARACTERS = [...'abcdefghijklmnopqrstuvwxyzUS|<>_\n 123/']; // what the tests say
export const CONTROL = ['<|im_start|>', '<|im_end|>', '<think>', '</think>'] as const;
export const VOCAB = CHARACTERS.length + CONTROL.length;
const IM_END = CHARACTERS.length + 1;

/** A tokenizer of single characters. */
export const chatTokenizer = json({
  added_tokens: CONTROL.map((content, n) => ({ id: CHARACTERS.length + n, content, special: n < 2, normalized: false })),
  normalizer: null, pre_tokenizer: null, post_processor: null, decoder: { type: 'Fuse' },
  model: { type: 'BPE', vocab: Object.fromEntries(CHARACTERS.map((character, id) => [character, id])), merges: [], unk_token: ' ' },
});

const IDS = { bos_token_id: null, eos_token_id: IM_END };

/** Small random models of three families with that tokenizer. */
export const CHAT_MODELS: readonly { readonly name: string; readonly files: (seed: number) => Files }[] = [
  {
    name: 'a recurrent model',
    files: (seed) => {
      const shape = { hidden: 16, intermediate: 24, layers: 2, vocab: VOCAB, lowerBounds: true };
      return { 'config.json': json(configJson(shape, IDS)), 'model.safetensors': safetensors(randomTensors(shape, seed)), 'tokenizer.json': chatTokenizer };
    },
  },
  { name: 'a Transformer', files: (seed) => ({ ...tinyDecoder({ ...TINY_BITNET, vocab: VOCAB }, seed, IDS), 'tokenizer.json': chatTokenizer }) },
  { name: 'a hybrid', files: (seed) => ({ ...tinyHybrid(undefined, { ...TINY_HYBRID, vocab: VOCAB }, seed, IDS), 'tokenizer.json': chatTokenizer }) },
];

/** ChatML, with the empty thought that Qwen3's template puts before an answer and leaves out of those before. */
export const QWEN_LIKE = `{%- for message in messages -%}
<|im_start|>{{ message.role }}
{{ message.content }}<|im_end|>
{% endfor -%}
{%- if add_generation_prompt -%}
<|im_start|>assistant
{% if enable_thinking is defined and enable_thinking is false %}<think>

</think>

{% endif %}{%- endif -%}`;

/** The same in TypeScript. */
export const qwenLike: ChatFormat = {
  render(messages, { addGenerationPrompt, enableThinking }) {
    const pieces: TemplatePiece[] = [];
    for (const { role, content } of messages) {
      pieces.push({ text: '<|im_start|>', isTemplate: true }, { text: role, isTemplate: false }, { text: '\n', isTemplate: true });
      pieces.push({ text: String(content ?? ''), isTemplate: false }, { text: '<|im_end|>\n', isTemplate: true });
    }
    if (addGenerationPrompt) pieces.push({ text: `<|im_start|>assistant\n${enableThinking === false ? '<think>\n\n</think>\n\n' : ''}`, isTemplate: true });
    return pieces;
  },
};
