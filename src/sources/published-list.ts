/**
 * What is known of published ternary models: shapes, forms and licences as their cards and configurations have them (November 2026).
 * Sizes are not written down here: published-models.ts computes them.
 */

export interface Shape {
  readonly layers: number;
  readonly hidden: number;
  readonly feedForward: number;
  readonly vocab: number;
  /** Heads of queries, heads of keys and values, channels of a head; a MatMul-free LM has none. */
  readonly attention: readonly [heads: number, keyValueHeads: number, headSize: number] | undefined;
  /** Layers that are gated delta nets, and their heads of 128 channels; the others have attention, with an output gate. */
  readonly delta?: { readonly layers: number; readonly keyHeads: number; readonly valueHeads: number };
  readonly embeddings: 'float' | 'ternary';
  readonly head: 'tied' | 'float' | 'ternary';
}

/** How weights lie in a file: bits of a ternary weight and bytes of a float; a GGUF file has the tokenizer in it as well. */
export interface Form {
  readonly ternaryBits: number;
  readonly floatBytes: number;
  readonly tokenizerBytes: number;
}

export interface Family {
  readonly family: string;
  readonly goodFor: string;
  readonly licence: string;
  readonly note: string;
  readonly form: Form;
  /** Columns that share a scale, where a matrix has more than a few scales. */
  readonly scaleGroup?: number;
  readonly models: readonly (readonly [source: string, shape: Shape])[];
}

const SEE_PAGE = 'see its page';
const FALCON_LICENCE = 'Falcon-LLM License';

const PACKED: Form = { ternaryBits: 2, floatBytes: 2, tokenizerBytes: 0 };
const FLOAT16: Form = { ternaryBits: 16, floatBytes: 2, tokenizerBytes: 0 };
const FLOAT32: Form = { ternaryBits: 32, floatBytes: 4, tokenizerBytes: 0 };
/** Of Bonsai's files; nearly all of their header. */
const TOKENIZER_BYTES = 5_950_000;
/** 34 bytes for 128 weights, and 18. */
const Q2_0: Form = { ternaryBits: 2.125, floatBytes: 4, tokenizerBytes: TOKENIZER_BYTES };
/** With the larger vocabulary of Qwen3.5. */
const PQ2_0: Form = { ...Q2_0, tokenizerBytes: 9_700_000 };
const Q1_0: Form = { ternaryBits: 1.125, floatBytes: 4, tokenizerBytes: TOKENIZER_BYTES };

/** A function, for nothing is computed when a module is imported. */
export function families(): readonly Family[] {
  const bonsai = { embeddings: 'ternary', head: 'tied', vocab: 151_669 } as const;
  const bonsaiShapes: readonly (readonly [string, Shape])[] = [
    ['1.7B', { ...bonsai, layers: 28, hidden: 2048, feedForward: 6144, attention: [16, 8, 128] }],
    ['4B', { ...bonsai, layers: 36, hidden: 2560, feedForward: 9728, attention: [32, 8, 128] }],
    ['8B', { ...bonsai, layers: 36, hidden: 4096, feedForward: 12288, attention: [32, 8, 128], head: 'ternary' }],
  ];
  const bonsai2 = { embeddings: 'ternary', vocab: 248_320 } as const;
  const bonsai2Shapes: readonly (readonly [string, Shape])[] = [
    ['2B', { ...bonsai2, head: 'tied', layers: 24, hidden: 2048, feedForward: 6144, attention: [8, 2, 256], delta: { layers: 18, keyHeads: 16, valueHeads: 16 } }],
    ['4B', { ...bonsai2, head: 'tied', layers: 32, hidden: 2560, feedForward: 9216, attention: [16, 4, 256], delta: { layers: 24, keyHeads: 16, valueHeads: 32 } }],
    ['9B', { ...bonsai2, head: 'ternary', layers: 32, hidden: 4096, feedForward: 12288, attention: [16, 4, 256], delta: { layers: 24, keyHeads: 16, valueHeads: 32 } }],
  ];
  const untied = { embeddings: 'float', head: 'float' } as const;
  const tied = { embeddings: 'float', head: 'tied' } as const;
  const falcon3 = (layers: number, hidden: number, feedForward: number, heads: number): Shape => (
    { ...untied, vocab: 131_072, layers, hidden, feedForward, attention: [heads, 4, 256] });
  const falconEdge = (layers: number, feedForward: number): Shape => (
    { ...untied, vocab: 32_768, layers, hidden: 2048, feedForward, attention: [16, 2, 128] });
  const bitnet = (hidden: number, layers: number, heads: number, feedForward: number): Shape => (
    { ...tied, vocab: 32_002, layers, hidden, feedForward, attention: [heads, heads, hidden / heads] });
  const trilm = (hidden: number, feedForward: number, heads: number, layers: number, vocab: number): Shape => (
    { ...untied, vocab, layers, hidden, feedForward, attention: [heads, heads, hidden / heads] });
  const matMulFree = (layers: number, hidden: number, feedForward: number): Shape => (
    { vocab: 32_000, layers, hidden, feedForward, attention: undefined, embeddings: 'float', head: 'ternary' });
  return [
    {
      family: 'Ternary Bonsai (Qwen3)', goodFor: 'chat and tool calls', licence: 'Apache-2.0', form: Q2_0, scaleGroup: 128,
      note: '',
      models: bonsaiShapes.map(([size, shape]) => [`hf:prism-ml/Ternary-Bonsai-${size}-gguf/Ternary-Bonsai-${size}-Q2_0.gguf`, shape]),
    },
    {
      family: 'Ternary Bonsai 2 (Qwen3.5)', goodFor: 'chat, thinking and tool calls over long texts: three layers of four keep a state of fixed size', licence: 'Apache-2.0', form: PQ2_0, scaleGroup: 128,
      note: 'text alone; of several files, load tells which there are: take PQ2_0',
      models: bonsai2Shapes.map(([size, shape]) => [`hf:prism-ml/Ternary-Bonsai-2-${size}-gguf`, shape]),
    },
    {
      family: 'Bonsai, 1-bit (Qwen3)', goodFor: 'as Ternary Bonsai, with half the download and weaker answers', licence: 'Apache-2.0', form: Q1_0, scaleGroup: 128,
      note: 'in memory a weight takes two bits, as a ternary one does',
      models: bonsaiShapes.map(([size, shape]) => [`hf:prism-ml/Bonsai-${size}-gguf/Bonsai-${size}-Q1_0.gguf`, shape]),
    },
    {
      family: 'BitNet b1.58 2B4T', goodFor: 'chat in English', licence: 'MIT', form: PACKED,
      note: 'in later uploads feed-forward matrices are all zeros (microsoft/BitNet issue 608): if so, take a revision of April 2025, as hf:microsoft/bitnet-b1.58-2B-4T@COMMIT',
      models: [['hf:microsoft/bitnet-b1.58-2B-4T', { ...tied, vocab: 128_256, layers: 30, hidden: 2560, feedForward: 6912, attention: [20, 5, 128] }]],
    },
    {
      family: 'Falcon-E', goodFor: 'chat in English, on little memory', licence: FALCON_LICENCE, form: PACKED,
      note: 'take the revision main; @prequantized has the weights for training, @bfloat16 is no ternary model',
      models: [['hf:tiiuae/Falcon-E-1B-Instruct', falconEdge(24, 9216)], ['hf:tiiuae/Falcon-E-3B-Instruct', falconEdge(32, 13_312)]],
    },
    {
      family: 'Falcon 3, 1.58 bits', goodFor: 'chat in four languages', licence: FALCON_LICENCE, form: PACKED, note: '',
      models: [
        ['hf:tiiuae/Falcon3-1B-Instruct-1.58bit', falcon3(18, 2048, 8192, 8)], ['hf:tiiuae/Falcon3-3B-Instruct-1.58bit', falcon3(22, 3072, 9216, 12)],
        ['hf:tiiuae/Falcon3-7B-Instruct-1.58bit', falcon3(28, 3072, 23_040, 12)], ['hf:tiiuae/Falcon3-10B-Instruct-1.58bit', falcon3(40, 3072, 23_040, 12)],
      ],
    },
    {
      family: 'Llama 3 8B, 1.58 bits', goodFor: 'chat; Llama 3 8B Instruct, made ternary by fine-tuning', licence: SEE_PAGE, form: PACKED, note: '',
      models: [['hf:HF1BitLLM/Llama3-8B-1.58-100B-tokens', { ...untied, vocab: 128_256, layers: 32, hidden: 4096, feedForward: 14_336, attention: [32, 8, 128] }]],
    },
    {
      family: 'BitNet b1.58, reproduced', goodFor: 'going on with a text, and research: base models of 100 billion tokens', licence: 'MIT', form: FLOAT32,
      note: 'float weights, made ternary when they load: convert them once',
      models: [['hf:1bitLLM/bitnet_b1_58-large', bitnet(1536, 24, 16, 4096)], ['hf:1bitLLM/bitnet_b1_58-3B', bitnet(3200, 26, 32, 8640)]],
    },
    {
      family: 'TriLM (Spectra)', goodFor: 'going on with a text, and research: base models of 300 billion tokens in many sizes', licence: 'Apache-2.0', form: FLOAT16,
      note: 'ternary weights kept as float16: convert them once',
      models: [
        ['hf:SpectraSuite/TriLM_99M_Unpacked', trilm(512, 1280, 8, 16, 50_304)], ['hf:SpectraSuite/TriLM_560M_Unpacked', trilm(1280, 3072, 20, 24, 50_304)],
        ['hf:SpectraSuite/TriLM_1.5B_Unpacked', trilm(2048, 6144, 32, 24, 50_432)], ['hf:SpectraSuite/TriLM_3.9B_Unpacked', trilm(3072, 9216, 24, 30, 50_688)],
      ],
    },
    {
      family: 'MMfreeLM (MatMul-free)', goodFor: 'going on with a text of any length in memory that does not grow: base models', licence: 'Apache-2.0', form: FLOAT16,
      note: 'float weights, made ternary when they load: convert them once',
      models: [
        ['hf:ridger/MMfreeLM-370M', matMulFree(24, 1024, 2816)], ['hf:ridger/MMfreeLM-1.3B', matMulFree(24, 2048, 5632)], ['hf:ridger/MMfreeLM-2.7B', matMulFree(32, 2560, 6912)],
      ],
    },
  ];
}
