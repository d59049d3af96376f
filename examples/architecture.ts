/*
 * A family of models of your own: a blueprint says what a model is made of, and the library checks, loads, runs and measures it by that.
 * This one takes turns: MLGRU in even blocks, attention over the last 32 tokens in odd ones. npx tsx examples/architecture.ts
 */
import {
  BIT_LINEAR_EPS, KeyReader, MatMulFreeLM, parameters, writeGguf,
  type BitLinearSpec, type Blueprint, type Family, type GgufValue, type NormSpec, type TensorSpec,
} from 'matmulfree';

const tensor = (name: string, ...shape: number[]): TensorSpec => ({ hf: `${name}.weight`, gguf: `${name}.weight`, shape });
const norm = (name: string, width: number, eps = 1e-6): NormSpec => ({ weight: tensor(name, width), eps });
const linear = (name: string, out: number, input: number): BitLinearSpec => ({ weight: tensor(name, out, input), norm: norm(`${name}.norm`, input, BIT_LINEAR_EPS) });

/** Heads of 16 channels; keys and values of one head for all. */
const HEAD = 16;

const turns: Family = {
  architecture: 'turns',
  metadata: ['width', 'depth', 'vocabulary'].map((key) => ({ json: key, gguf: key, type: 'u32', isRequired: true })),
  recognises: ({ model_type: type }) => type === 'turns',
  async blueprint(keys): Promise<Blueprint> {
    const [D, L, V] = [keys.integer('width', NaN, HEAD, 4096), keys.integer('depth', NaN, 1, 100), keys.integer('vocabulary', NaN, 2, 65_536)] as const;
    if (D % HEAD !== 0) keys.fail('width', `is ${D}, not a multiple of ${HEAD}`);
    return {
      architecture: 'turns', lowerBounds: undefined, roundsScales: false, transformer: true, maxPositions: Infinity, switches: [], identity: [D, L, V],
      config: { vocabSize: V, hiddenSize: D, recurrentSize: D, intermediateSize: 2 * D, layers: L, rmsNormEps: 1e-6, trainedContext: 2048, bosTokenId: 1, eosTokenIds: [] },
      embeddings: tensor('embeddings', V, D),
      blocks: Array.from({ length: L }, (_, n) => ({
        tokenNorm: norm(`${n}.token_norm`, D),
        tokenMixer: n % 2 === 0 ? {
          kind: 'mlgru', boundsRow: undefined, stateSize: D,
          parts: {
            inputProjection: linear(`${n}.i`, D, D), forgetProjection: linear(`${n}.f`, D, D), gateProjection: linear(`${n}.g`, D, D),
            gateNorm: norm(`${n}.gate_norm`, D), outputProjection: linear(`${n}.o`, D, D),
          },
        } : {
          kind: 'attention', kvHeads: 1, headDim: HEAD, window: 32, rope: { pairs: HEAD / 2, theta: 10_000 },
          parts: { queryProjection: linear(`${n}.q`, D, D), keyProjection: linear(`${n}.k`, HEAD, D), valueProjection: linear(`${n}.v`, HEAD, D), outputProjection: linear(`${n}.o`, D, D) },
        },
        channelNorm: norm(`${n}.channel_norm`, D),
        channelMixer: { kind: 'glu', activation: 'silu', parts: { gateProjection: linear(`${n}.gate_up`, 4 * D, D), downProjection: linear(`${n}.down`, D, 2 * D) } },
      })),
      norm: norm('norm', D),
      head: linear('head', V, D),
    };
  },
  keysOf: async ({ config }) => ({ width: config.hiddenSize, depth: config.layers, vocabulary: config.vocabSize }),
};

// A model of this family that nobody has trained: random floats in a GGUF file, whose tensors the blueprint lists.
const sizes = { width: 64, depth: 6, vocabulary: 100 };
let seed = 1;
const random = (): number => ((seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0) / 2 ** 32) - 0.5;
const tensors = parameters(await turns.blueprint(new KeyReader('example', sizes), {}, new Set())).map(({ tensor: { gguf, shape }, held }) => {
  const values = Float32Array.from({ length: shape.reduce((product, n) => product * n, 1) }, () => (held === 'vector' ? 1 : random()));
  return { name: gguf, type: 'F32' as const, shape, bytes: async () => new Uint8Array(values.buffer) };
});
const metadata = new Map<string, GgufValue>([
  ['general.architecture', { type: 'string', value: 'turns' }],
  ...Object.entries(sizes).map(([key, value]) => [`turns.${key}`, { type: 'u32', value }] as const),
]);
const pieces: Uint8Array[] = [];
for await (const piece of writeGguf(metadata, tensors)) pieces.push(piece);

const lm = await MatMulFreeLM.load(new Blob(pieces as BlobPart[]), { families: [turns] });
const { parameters: count, stateBytes, windowedBytesPerToken } = lm.info();
console.log(`${count} parameters; a text takes ${stateBytes} bytes, and ${windowedBytesPerToken} for each of its last 32 tokens`);
const ids: number[] = [];
for await (const id of lm.generateIds([1, 2, 3], { maxNewTokens: 100, temperature: 0.8, seed: 1 })) ids.push(id);
console.log(`it writes: ${ids.slice(0, 20).join(' ')} …`);

// All that works for other models does for this one: two ways on from one state, without copying what they share.
const state = lm.createState();
lm.forward(ids.slice(0, -1), state);
const fork = state.clone();
const [first, second] = [lm.forward(ids.slice(-1), state), lm.forward(ids.slice(-1), fork)];
const same = first.every((logit, n) => Object.is(logit, second[n]));
console.log(`a fork goes on as the text that it was made of: ${same}`);
if (!same) process.exitCode = 1;
