/**
 * Decoders: tokens → text, as a chain of stages that each hand on what is certain. decode() runs the same chain over all
 * tokens at once. A stage before Fuse or ByteLevel is handed whole tokens, one behind it fragments of a single long one.
 */
import { isChar, type Json } from './json.js';
import { Growth } from './growth.js';
import { metaspaceScheme } from './metaspace.js';
import * as stages from './decode-stages.js';
import { buildReplace } from './normalizer.js';
import { needed, type TextParts } from './text-parts.js';

/** Makes fresh stages for one text, which share its `growth`; `streaming` is false when all of it comes in one go. */
type StageFactory = (streaming: boolean, growth: Growth) => stages.Stage;

export interface DecodeRun {
  /** Text that is now certain. `isAdded`: the token is an added one, which is spelt as it is. */
  push(token: string, isAdded?: boolean): string;
  flush(): string;
}

const SUPPORTED = 'Replace, ByteFallback, Fuse, Strip, ByteLevel, Metaspace, BPEDecoder, Sequence';

/** Builds what a `decoder` entry describes: a function that starts a new text. */
export function buildDecoder(json: Json, parts: TextParts | undefined): (streaming: boolean) => DecodeRun {
  const factories: StageFactory[] = [];
  if (json.absent) factories.push(() => stages.join(' '));
  else collect(json, factories, false, parts);
  const spell = json.absent || !isByteLevel(json) ? undefined : needed(parts, json).byteLevel.speller();
  return (streaming) => {
    const growth = new Growth();
    return startRun(factories.map((make) => make(streaming, growth)), growth, spell);
  };
}

function isByteLevel(json: Json): boolean {
  return json.key('type').value === 'Sequence' ? json.key('decoders').items().some(isByteLevel) : json.key('type').value === 'ByteLevel';
}

/** @param spell writes added tokens as ByteLevel reads all others. */
function startRun(chain: stages.Stage[], growth: Growth, spell: ((token: string) => string) | undefined): DecodeRun {
  let out = '';
  // emits[i] feeds stage i; the last one collects what comes out of the chain.
  const emits: stages.Emit[] = [(text) => void (out += text)];
  for (const stage of [...chain].reverse()) {
    const next = emits[0]!;
    emits.unshift((text) => stage.push(text, next));
  }
  const take = (): string => {
    const text = out;
    out = '';
    return text;
  };
  return {
    push(token, isAdded = false) {
      growth.feed(1); // not the length of the token: that is the file's doing
      emits[0]!(isAdded && spell ? spell(token) : token);
      return take();
    },
    flush() {
      chain.forEach((stage, i) => stage.flush(emits[i + 1]!));
      return take();
    },
  };
}

/** Appends the stages of an entry. `fused`: the input is one token, in fragments. Returns the same about the output. */
function collect(json: Json, factories: StageFactory[], fused: boolean, parts: TextParts | undefined): boolean {
  switch (json.type()) {
    case 'Sequence':
      return json.key('decoders').items().reduce((current, step) => collect(step, factories, current, parts), fused);
    case 'Fuse':
      factories.push(() => stages.perToken((token) => token));
      return true;
    case 'Replace': {
      const replace = buildReplace(json, parts);
      const search = json.key('pattern').key('String').value;
      // Only a single character cannot lie across two fragments.
      const anywhere = typeof search === 'string' && isChar(search);
      factories.push((_, growth) => {
        const change = (text: string): string => replace(text, growth);
        return fused && !anywhere ? stages.wholeText(change) : stages.perToken(change);
      });
      return fused;
    }
    case 'ByteFallback':
      factories.push((streaming) => (fused ? stages.wholeText(stages.fallbackOfOne) : stages.byteFallback(streaming)));
      return fused;
    case 'Strip': {
      const char = json.key('content').char();
      const start = json.key('start').count();
      const stop = json.key('stop').count();
      factories.push(() => (fused ? stages.stripFragments(char, start, stop) : stages.perToken((token) => stages.strip(token, char, start, stop))));
      return fused;
    }
    case 'ByteLevel': {
      const { decodeText, createStage } = needed(parts, json).byteLevel.decoding();
      factories.push(() => (fused ? stages.wholeText(decodeText) : createStage()));
      return true;
    }
    case 'Metaspace': {
      const mark = json.key('replacement').char();
      const dropFirst = metaspaceScheme(json) !== 'never';
      factories.push(() => {
        let first = dropFirst;
        return stages.perToken((token) => {
          const text = token.split(mark).join(first ? '' : ' ');
          first &&= fused;
          return text;
        });
      });
      return fused;
    }
    case 'BPEDecoder': {
      const suffix = json.key('suffix').string('</w>');
      const { spaced, bpeDecoder } = needed(parts, json).bpe;
      factories.push(() => (fused ? stages.wholeText((text) => spaced(text, suffix, '')) : bpeDecoder(suffix)));
      return fused;
    }
    default:
      return json.unsupported('decoder', SUPPORTED);
  }
}
