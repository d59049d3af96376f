import type { TinyConfig } from './checkpoints.js';
import type { TinyAttention, TinyDecoder } from './families.js';
import type { randomFrom } from './random.js';

type Random = ReturnType<typeof randomFrom>;

/* Shapes of small models that nobody would choose: heads of all widths, key heads that are shared in all ways, one token's window. */

const HEAD_WIDTHS = [4, 8, 12, 20, 28, 36, 52, 64, 76, 100] as const;

function pick<Item>(random: Random, items: readonly Item[]): Item {
  return items[random.integer(0, items.length - 1)]!;
}

/** Heads, and how many have keys of their own: a divisor. */
function randomHeads(random: Random): { heads: number; kvHeads: number } {
  const heads = random.integer(1, 6);
  return { heads, kvHeads: pick(random, Array.from({ length: heads }, (_, n) => n + 1).filter((n) => heads % n === 0)) };
}

export function randomDecoder(random: Random): { shape: TinyDecoder; extra: Record<string, unknown> } {
  const family = pick(random, ['bitnet', 'llama'] as const);
  const shape: TinyDecoder = {
    family, ...randomHeads(random),
    hidden: random.integer(5, 70), intermediate: random.integer(1, 90), layers: random.integer(1, 3), headDim: pick(random, HEAD_WIDTHS),
    vocab: random.integer(2, 60), positions: 4096, theta: pick(random, [100, 10_000, 1_000_042]), isTied: random.unit() < 0.5,
    activation: family === 'llama' ? 'silu' : pick(random, ['silu', 'relu2']),
  };
  const common = { factor: 1 + 7 * random.unit(), original_max_position_embeddings: random.integer(16, 100) };
  const scaling = pick(random, [
    null, { rope_type: 'default' }, { ...common, rope_type: 'llama3', low_freq_factor: 1, high_freq_factor: 4 },
    { ...common, rope_type: 'yarn' }, { ...common, rope_type: 'yarn', attention_factor: 1.25, beta_fast: 20, beta_slow: 2 },
  ]);
  // transformers 5 has one key in place of two.
  return { shape, extra: random.unit() < 0.5 ? { rope_scaling: scaling } : { rope_theta: undefined, rope_parameters: { ...scaling, rope_theta: shape.theta } } };
}

/** Of each layer at random: attention of one of two kinds, or none. */
export function randomHybrid(random: Random): { shape: TinyConfig; attn: readonly TinyAttention[] } {
  const hidden = 4 * random.integer(2, 25);
  const layers = random.integer(2, 4);
  const kinds: (TinyAttention & { layers: number[] })[] = Array.from({ length: 2 }, () => {
    const num_heads = pick(random, Array.from({ length: hidden / 4 }, (_, n) => n + 1).filter((n) => hidden % (4 * n) === 0));
    return {
      layers: [], num_heads, num_kv_heads: pick(random, Array.from({ length: num_heads }, (_, n) => n + 1).filter((n) => num_heads % n === 0)),
      window_size: pick(random, [null, 1, 2, 17, 64, 65]), rope_theta: pick(random, [100, 10_000]),
    };
  });
  kinds[0]!.layers.push(random.integer(0, layers - 1));
  for (let n = 0; n < layers; n++) {
    const kind = random.integer(0, 2);
    if (kind < 2 && !kinds[0]!.layers.includes(n)) kinds[kind]!.layers.push(n);
  }
  const shape = { hidden, intermediate: random.integer(1, 90), layers, vocab: random.integer(2, 60), lowerBounds: random.unit() < 0.5 };
  return { shape, attn: kinds.filter(({ layers: which }) => which.length > 0) };
}
