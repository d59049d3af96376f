import type { Model } from '../model/model.js';
import type { ModelState } from '../model/state.js';
import { exp, log } from '../platform/numeric.js';
import { checkBoolean, checkNumber, givenOptions } from '../options.js';
import { Pace } from '../platform/pace.js';
import { largestIds, logNormalizer, logProbability } from '../sampling/logprobs.js';
import { checkLimits, emptyPrompt, type GenerateIdsOptions } from './options.js';

export interface BeamSearchOptions extends Pick<GenerateIdsOptions, 'maxNewTokens' | 'eosTokenIds' | 'signal'> {
  /** Texts that are followed at the same time, 1 to 64; default 4. */
  readonly numBeams?: number | undefined;
  /** A text's score is its log-probability / lengthᵖᵉⁿᵃˡᵗʸ; default 1. Above 0 favours longer texts, below 0 shorter ones. */
  readonly lengthPenalty?: number | undefined;
  /** How many texts to return, the best first, at most `numBeams`; default 1. */
  readonly nBest?: number | undefined;
  /** Stop as soon as `numBeams` texts have ended, although a better one might still come; default false. */
  readonly earlyStopping?: boolean | undefined;
}

/** One of the texts that beam search found. */
export interface BeamIds {
  /** Without the EOS id. */
  readonly ids: readonly number[];
  /** Natural logarithm of its probability, EOS included. */
  readonly logprob: number;
  /** What texts are compared by: see `lengthPenalty`. */
  readonly score: number;
  readonly finishReason: 'eos' | 'length';
}

/** A text that is followed. */
interface Beam {
  readonly ids: readonly number[];
  readonly logprob: number;
}

/** A text that is a beam and one more token. */
interface Candidate {
  readonly beam: number;
  readonly id: number;
  readonly logprob: number;
}

const MAX_BEAMS = 64;
const BEAM_OPTIONS = ['maxNewTokens', 'eosTokenIds', 'signal', 'numBeams', 'lengthPenalty', 'nBest', 'earlyStopping'];

/**
 * Beam search as in Hugging Face transformers: of all texts one token longer than the beams the 2 · numBeams most probable are looked at
 * (more if there are several EOS ids, so that enough of them go on); those that end are put aside with their score, the others are the next
 * beams, up to numBeams. It is over when numBeams texts have ended
 * and no beam can still do better than the worst of them. Equal ones come in the order of beams and ids.
 * @throws ArgumentError for an option or a prompt; the signal's reason.
 */
export async function beamSearch(
  model: Model, prompt: ArrayLike<number>, given: BeamSearchOptions, defaults: Pick<GenerateIdsOptions, 'maxNewTokens'>,
): Promise<BeamIds[]> {
  const options = { ...defaults, ...givenOptions('beamSearch', given, BEAM_OPTIONS) };
  const { signal, earlyStopping = false } = options;
  const limits = checkLimits(options, model.parts.config);
  const numBeams = checkNumber('numBeams', options.numBeams ?? 4, 1, MAX_BEAMS, 'whole');
  const nBest = checkNumber('nBest', options.nBest ?? 1, 1, numBeams, 'whole');
  const lengthPenalty = checkNumber('lengthPenalty', options.lengthPenalty ?? 1, -100, 100);
  checkBoolean('earlyStopping', earlyStopping);
  if (prompt?.length === 0) throw emptyPrompt('beamSearch');

  const looked = Math.max(2, 1 + limits.eosTokenIds.length) * numBeams;
  const score = (logprob: number, length: number): number => logprob / power(Math.max(1, length), lengthPenalty);
  const ended: BeamIds[] = [];
  const end = (found: BeamIds): void => {
    ended.push(found);
    ended.sort((a, b) => b.score - a.score);
    ended.length = Math.min(ended.length, numBeams);
  };

  const first = model.createState();
  model.check(prompt, first, 'beamSearch');
  let states = [first];
  let spare: ModelState[] = [];
  let beams: Beam[] = [{ ids: [], logprob: 0 }];
  let inputs: readonly (readonly number[])[] = [[prompt[prompt.length - 1]!]];
  const pace = new Pace(signal);
  const maxNewTokens = Math.min(limits.maxNewTokens, model.parts.blueprint.maxPositions - prompt.length + 1);
  try {
    await readPrompt(model, prompt, first, pace);
    for (let length = 1; length <= maxNewTokens; length++) {
      await pace.giveWay();
      const candidates: Candidate[] = [];
      model.forwardSequences(beams.map((_, n) => ({ ids: inputs[n]!, state: states[n]!, want: 'last' as const, what: 'beamSearch' })), (logits, _, beam) => {
        const before = beams[beam]!.logprob;
        const normalizer = logNormalizer(logits);
        for (const id of largestIds(logits, looked)) candidates.push({ beam, id, logprob: before + logProbability(logits, id, normalizer) });
      });
      candidates.sort((a, b) => b.logprob - a.logprob || a.beam - b.beam || a.id - b.id);
      const chosen: Candidate[] = [];
      candidates.slice(0, looked).forEach((candidate, rank) => {
        const { ids } = beams[candidate.beam]!;
        if (!limits.eosTokenIds.includes(candidate.id)) {
          if (chosen.length < numBeams) chosen.push(candidate);
        } else if (rank < numBeams) {
          end({ ids, logprob: candidate.logprob, score: score(candidate.logprob, length), finishReason: 'eos' });
        }
      });
      beams = chosen.map(({ beam, id, logprob }) => ({ ids: [...beams[beam]!.ids, id], logprob }));
      if (ended.length === numBeams) {
        // What the best candidate would score if it ended here, as transformers estimates it.
        const hope = score(candidates[0]!.logprob, length);
        if (earlyStopping || hope <= ended[numBeams - 1]!.score) return ended.slice(0, nBest);
      }
      if (chosen.length === 0) break; // every text has ended
      inputs = chosen.map(({ id }) => [id]);
      const next = chosen.map(({ beam }) => {
        const state = spare.pop() ?? model.createState();
        state.copyFrom(states[beam]!);
        return state;
      });
      for (const state of states) state.release(); // keys and values; the next beams share what they need of them
      spare = spare.concat(states);
      states = next;
    }
    for (const { ids, logprob } of beams) end({ ids, logprob, score: score(logprob, ids.length), finishReason: 'length' });
    return ended.slice(0, nBest);
  } finally {
    for (const state of states) state.release();
  }
}

/** All of the prompt but its last id. */
async function readPrompt(model: Model, prompt: ArrayLike<number>, state: ModelState, pace: Pace): Promise<void> {
  const { maxTokens } = model.parts.workspace;
  for (let done = 0; done < prompt.length - 1; done += maxTokens) {
    await pace.giveWay();
    model.advance(Array.prototype.slice.call(prompt, done, Math.min(done + maxTokens, prompt.length - 1)) as number[], state, 'beamSearch');
  }
}

/** baseᵉˣᵖᵒⁿᵉⁿᵗ, the same on every engine. */
function power(base: number, exponent: number): number {
  return exponent === 1 ? base : exp(exponent * log(base));
}
