import type { PageTable } from '../kernels/kernels.js';
import { exp, log } from '../platform/numeric.js';
import { cosineAndSine } from '../platform/trigonometry.js';

/** Rotary position embedding (Su et al., 2021) of a model, and how its frequencies are changed for longer texts. */
export interface RopeSpec {
  /** Pairs of channels that are turned: half of a head, or of the part of it that is. */
  readonly pairs: number;
  readonly theta: number;
  readonly scaling?: Llama3Scaling | YarnScaling | undefined;
}

/** Llama 3.1's (ternary-transformers.md §2.3). */
export interface Llama3Scaling {
  readonly kind: 'llama3';
  readonly factor: number;
  readonly lowFrequencyFactor: number;
  readonly highFrequencyFactor: number;
  readonly originalPositions: number;
}

/** YaRN (Peng et al., 2023; bonsai.md §3.2). */
export interface YarnScaling {
  readonly kind: 'yarn';
  readonly factor: number;
  readonly betaFast: number;
  readonly betaSlow: number;
  readonly originalPositions: number;
  /** What cosines and sines are multiplied by. */
  readonly magnitude: number;
}

/** By how many radians a pair turns from one position to the next: θ^(-j / pairs), scaled. In float64. */
function frequencies({ pairs, theta, scaling }: RopeSpec): Float64Array {
  const plain = Float64Array.from({ length: pairs }, (_, j) => exp((-j / pairs) * log(theta)));
  if (scaling?.kind === 'llama3') return plain.map((frequency) => llama3(frequency, scaling));
  if (scaling?.kind === 'yarn') return yarn(plain, theta, scaling);
  return plain;
}

function llama3(frequency: number, { factor, lowFrequencyFactor: low, highFrequencyFactor: high, originalPositions }: Llama3Scaling): number {
  const wavelength = (2 * Math.PI) / frequency;
  if (wavelength < originalPositions / high) return frequency;
  if (wavelength > originalPositions / low) return frequency / factor;
  const share = (originalPositions / wavelength - low) / (high - low);
  return ((1 - share) * frequency) / factor + share * frequency;
}

function yarn(plain: Float64Array, theta: number, { factor, betaFast, betaSlow, originalPositions }: YarnScaling): Float64Array {
  const pairs = plain.length;
  // The pair that turns `beta` times over the original positions.
  const pairOf = (beta: number): number => (pairs * log(originalPositions / (beta * 2 * Math.PI))) / log(theta);
  const low = Math.max(Math.floor(pairOf(betaFast)), 0);
  const high = Math.min(Math.ceil(pairOf(betaSlow)), 2 * pairs - 1);
  return plain.map((frequency, j) => {
    const ramp = Math.min(Math.max((j - low) / Math.max(high - low, 0.001), 0), 1);
    return (frequency / factor) * ramp + frequency * (1 - ramp);
  });
}

/** The angles by which the tokens of a pass are turned. The layers of a model share one. */
export class Rope {
  readonly spec: RopeSpec;
  readonly angles: Float32Array; // [maxTokens, 2·pairs] cosines, then sines
  private readonly perPosition: Float64Array; // [pairs]
  private readonly positions: Float64Array; //   [maxTokens] whose angles the rows have

  /** @param angles [maxTokens, 2·pairs], in the kernels' memory. */
  constructor(spec: RopeSpec, angles: Float32Array) {
    this.spec = spec;
    this.angles = angles;
    this.perPosition = frequencies(spec);
    this.positions = new Float64Array(angles.length / (2 * spec.pairs)).fill(-1);
  }

  /** Makes the rows those of the tokens in `tables`; of the first layer of a pass, for they are the same in all. */
  turn(tables: readonly PageTable[]): void {
    for (const { row, tokens, position } of tables) {
      for (let t = 0; t < tokens; t++) {
        if (this.positions[row + t] !== position + t) this.compute(row + t, position + t);
      }
    }
  }

  private compute(row: number, position: number): void {
    const { pairs, scaling } = this.spec;
    const magnitude = scaling?.kind === 'yarn' ? scaling.magnitude : 1;
    const at = row * 2 * pairs;
    for (let j = 0; j < pairs; j++) {
      const [cosine, sine] = cosineAndSine(position * this.perPosition[j]!);
      this.angles[at + j] = magnitude * cosine;
      this.angles[at + pairs + j] = magnitude * sine;
    }
    this.positions[row] = position;
  }
}
