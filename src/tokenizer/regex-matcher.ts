/**
 * Runs a pattern's instructions over a text: backtracking, so that the first way that matches is found as Oniguruma finds it, but
 *
 * - the next character tells which ways there are, so that most patterns never go back (regex-ways.ts);
 * - when much has been tried, it is noted what was tried where, and nothing is tried twice (as in RE2's bitstate.cc): time then grows
 *   as the text does;
 * - steps are counted: beyond a limit, such as where there is no room for notes, the text is given up.
 */
import type { FindMatches } from './pattern.js';
import { FAILED, Notes, UNTRIED } from './regex-notes.js';
import { ACCEPT, ATOMIC, BACK, CHECK, CHOOSE, FORK, JUMP, LOOK, MARK, PEEK, PEEK_BACK, RUN, SET, SPLIT, STEP, type Program } from './regex-program.js';
import { ClassedText, grown, HALF } from './regex-text.js';
import { NOWHERE, Ways } from './regex-ways.js';

/** Steps after which notes are taken, and after which a text is given up: at once, and for each character. Real patterns take about five. */
const FREE_STEPS = [2 ** 14, 32] as const;
const MAX_STEPS = [2 ** 21, 256] as const;

/** Notes take two bits for each RUN and SPLIT at each character. */
const MAX_NOTES = 2 ** 28;

/** What it takes to note an end, in steps. */
const NOTED_END = 16;

/** In place of an instruction that was tried in vain. */
const FAIL = -1;

/** @param onTooMany called when a text takes too many steps; throws. */
export function createMatcher(program: Program, onTooMany: () => never): FindMatches {
  const { code, branches } = program;
  const text = new ClassedText(program.sets);
  const ways = new Ways(program, text);
  const slots = new Int32Array(program.slots);
  let stack = new Int32Array(128); // [entries, 4]: instruction, place, -1 or the least place of a RUN, length of the path; or ~slot and its value
  let top = 0;
  let steps = 0;
  let limit = 0;
  let notes: Notes | undefined;
  let path: number[] = []; // what is being tried within LOOK and ATOMIC, as it is noted

  const push = (at: number, place: number, least: number): void => {
    if (top + 4 > stack.length) stack = grown(stack, 2 * stack.length);
    stack[top++] = at;
    stack[top++] = place;
    stack[top++] = least;
    stack[top++] = path.length;
  };

  const checkSteps = (): void => {
    if (steps + text.work + ways.work <= limit) return;
    const most = MAX_STEPS[0] + MAX_STEPS[1] * text.length;
    if (limit === most) onTooMany();
    limit = most;
    if (branches * (text.length + 1) <= MAX_NOTES) notes = new Notes(branches, text.length + 1);
  };

  /** What is within LOOK and ATOMIC: as `run`. */
  const runWithin = (from: number, place: number): number => {
    const before = path.length;
    const end = run(from, place);
    if (end >= 0) for (let i = before; i < path.length; i++) notes!.succeed(path[i]!, end);
    steps += NOTED_END * (path.length - before);
    path.length = before;
    return end;
  };

  /** Where the first way to match from an instruction and a place ends, or -1. */
  const run = (from: number, start: number): number => {
    const { at: classAt, members, shift } = text;
    const base = top;
    let at = from;
    let place = start;
    let taken = 0;
    for (;;) {
      taken++;
      const a = code[at + 1]!;
      let operation = code[at]!;
      if (notes !== undefined && operation >= RUN && operation <= CHOOSE) {
        const index = notes.index(code[at + 3]!, place);
        const before = notes.take(index);
        if (before === FAILED) operation = FAIL;
        else if (before !== UNTRIED) {
          operation = ACCEPT;
          place = before;
        } else if (from !== 0) path.push(index);
      }
      switch (operation) {
        case SET:
          if (members[(a << shift) + classAt[place]!] === 0) break;
          if (classAt[++place] === HALF) place++;
          at += STEP;
          continue;
        case PEEK:
          if (members[(a << shift) + classAt[place]!] !== code[at + 2]) break;
          at += STEP;
          continue;
        case BACK: case PEEK_BACK: {
          const before = place === 0 ? -1 : classAt[place - 1] === HALF ? place - 2 : place - 1;
          const isIn = before >= 0 && members[(a << shift) + classAt[before]!] === 1;
          if (isIn !== (operation === BACK || code[at + 2] === 1)) break;
          if (operation === BACK) place = before;
          at += STEP;
          continue;
        }
        case RUN: {
          const isKept = code[at + 2] === 1;
          const row = a << shift;
          if (notes !== undefined) { // one by one
            if (members[row + classAt[place]!] === 0) at += STEP;
            else {
              if (!isKept && ways.canFollow(at, classAt[place]!)) push(at + STEP, place, -1);
              if (classAt[++place] === HALF) place++;
            }
            continue;
          }
          const least = place;
          while (members[row + classAt[place]!] === 1) if (classAt[++place] === HALF) place++;
          taken += place - least;
          if (!isKept) {
            while (place > least && !ways.canFollow(at, classAt[place]!)) if (classAt[--place] === HALF) place--;
            if (place > least) push(at + STEP, place, least);
          }
          at += STEP;
          continue;
        }
        case SPLIT: case CHOOSE: {
          const way = ways.of(at, classAt[place]!);
          if (way === NOWHERE) break;
          if (way > 0) at = way - 1;
          else {
            push(code[at + 2]!, place, -1);
            at = a;
          }
          continue;
        }
        case FORK:
          push(code[at + 2]!, place, -1);
          at = a;
          continue;
        case JUMP:
          at = a;
          continue;
        case LOOK:
          if (runWithin(at + STEP, place) >= 0 !== (code[at + 2] === 0)) break;
          at = a;
          continue;
        case ATOMIC: {
          const end = runWithin(at + STEP, place);
          if (end < 0) break;
          place = end;
          at = a;
          continue;
        }
        case MARK:
          push(~a, slots[a]!, -1);
          slots[a] = place;
          at += STEP;
          continue;
        case CHECK:
          at = slots[a] === place ? code[at + 2]! : at + STEP;
          continue;
        case ACCEPT:
          steps += taken;
          top = base;
          return place;
      }
      // It failed: back to the last choice.
      steps += taken;
      taken = 0;
      if (steps > limit) checkSteps();
      for (at = -1; at < 0; ) {
        if (top === base) return -1;
        path.length = stack[--top]!;
        const least = stack[--top]!;
        place = stack[--top]!;
        at = stack[--top]!;
        if (at < 0) slots[~at] = place;
        else if (least >= 0) {
          const last = place;
          do if (classAt[--place] === HALF) place--; while (place > least && !ways.canFollow(at - STEP, classAt[place]!));
          taken += last - place;
          if (place > least) push(at, place, least);
        }
      }
    }
  };

  return (input, each) => {
    text.read(input);
    ways.makeRoom();
    steps = text.work = ways.work = 0;
    limit = FREE_STEPS[0] + FREE_STEPS[1] * text.length;
    notes = undefined;
    path = [];
    const { at: classAt, length } = text;
    let lastEnd = -1;
    for (let start = 0; start <= length; ) {
      if (classAt[start] === HALF || !ways.canStart(classAt[start]!)) {
        start++;
        continue;
      }
      top = 0;
      const end = run(0, start);
      checkSteps();
      // An empty match does not count right behind the previous match.
      if (end > start || (end === start && end !== lastEnd)) each(start, (lastEnd = end));
      if (end >= 0) (notes as Notes | undefined)?.forgetPlace(end); // what led to here may be tried again
      start = end > start ? end : start + 1;
    }
    notes = undefined;
    text.forget();
  };
}
