/** A pattern's tree as instructions for the matcher (regex-matcher.ts): after Pike and Thompson, with the order of alternatives kept. */
import { isNullable, type CharSet, type Node } from './regex-tree.js';

/*
 * Four numbers each: which one, then
 *   SET, BACK         set             takes a character of the set ahead, or behind
 *   PEEK, PEEK_BACK   set, wanted     looks at one: whether it is (1) or is not (0) in the set
 *   RUN               set, kept, n    takes all characters of the set there are; fewer later, unless it is kept
 *   SPLIT             first, other, n two ways; n counts the RUNs and SPLITs
 *   FORK              first, other, n the same, backward: the character ahead tells nothing
 *   CHOOSE            first, other, n the same, but the other only where the first cannot begin
 *   JUMP              to
 *   LOOK              then, negative  what follows up to ACCEPT is looked at, and goes on there
 *   ATOMIC            then            what follows up to ACCEPT is matched in its first way, and goes on there
 *   MARK, CHECK       slot, (exit)    the beginning of a repetition that may be nothing, and its end: nothing is not repeated
 *   ACCEPT            then            the end of the pattern (then: -1), or of what is within LOOK (-1) or ATOMIC
 */
export const SET = 0;
export const BACK = 1;
export const PEEK = 2;
export const PEEK_BACK = 3;
export const RUN = 4;
export const SPLIT = 5;
export const FORK = 6;
export const CHOOSE = 7;
export const JUMP = 8;
export const LOOK = 9;
export const ATOMIC = 10;
export const MARK = 11;
export const CHECK = 12;
export const ACCEPT = 13;

/** Numbers in an instruction. */
export const STEP = 4;

export interface Program {
  readonly code: Int32Array; // [instructions, STEP]
  readonly sets: readonly CharSet[];
  /** RUNs and SPLITs of all kinds. */
  readonly branches: number;
  readonly slots: number;
}

/** @param onInstruction called before each is added. */
export function compileProgram(tree: Node, onInstruction: () => void): Program {
  const code: number[] = [];
  const sets: CharSet[] = [];
  const setIds = new Map<string, number>();
  let branches = 0;
  let slots = 0;

  const emit = (operation: number, a = 0, b = 0, c = 0): number => {
    onInstruction();
    return code.push(operation, a, b, c) - STEP;
  };
  const idOf = (set: CharSet): number => {
    const id = setIds.get(set.key) ?? sets.push(set) - 1;
    setIds.set(set.key, id);
    return id;
  };
  /** Two ways: what `first` emits, and then what comes behind it or (`isLazy`) the other way round. Gives a function that says where the other is. */
  const branch = (operation: number, first: () => void, isLazy = false): ((other: number) => void) => {
    const at = emit(operation, 0, 0, branches++);
    code[at + (isLazy ? 2 : 1)] = code.length;
    first();
    return (other) => { code[at + (isLazy ? 1 : 2)] = other; };
  };

  const generate = (node: Node, isBackward: boolean): void => {
    switch (node.kind) {
      case 'set': emit(isBackward ? BACK : SET, idOf(node.set)); return;
      case 'sequence': for (const part of node.parts) generate(part, isBackward); return;
      case 'choice': {
        const ends: number[] = [];
        for (const [i, part] of node.parts.entries()) {
          if (i === node.parts.length - 1) generate(part, isBackward);
          else branch(isBackward ? FORK : SPLIT, () => { generate(part, isBackward); ends.push(emit(JUMP)); })(code.length);
        }
        for (const end of ends) code[end + 1] = code.length;
        return;
      }
      case 'repeat': repeat(node, isBackward, false); return;
      case 'look': {
        const { body, isBehind, isNegative } = node;
        if (body.kind === 'set') {
          emit(isBehind ? PEEK_BACK : PEEK, idOf(body.set), isNegative ? 0 : 1);
          return;
        }
        const look = emit(LOOK, 0, isNegative ? 1 : 0);
        generate(body, isBehind);
        emit(ACCEPT, -1);
        code[look + 1] = code.length;
        return;
      }
      case 'atomic': {
        if (node.body.kind === 'repeat' && node.body.body.kind === 'set' && !node.body.lazy) {
          repeat(node.body, isBackward, true);
          return;
        }
        const atomic = emit(ATOMIC);
        generate(node.body, isBackward);
        const accept = emit(ACCEPT);
        code[atomic + 1] = code[accept + 1] = code.length;
      }
    }
  };

  const repeat = ({ body, min, max, lazy }: Node & { kind: 'repeat' }, isBackward: boolean, isKept: boolean): void => {
    for (let n = 0; n < min; n++) generate(body, isBackward);
    const operation = isBackward ? FORK : isKept ? CHOOSE : SPLIT;
    if (max === Infinity) {
      if (body.kind === 'set' && !lazy && !isBackward) {
        emit(RUN, idOf(body.set), isKept ? 1 : 0, branches++);
        return;
      }
      const start = code.length;
      let check = -1;
      const setExit = branch(operation, () => {
        const slot = isNullable(body) ? slots++ : -1;
        if (slot >= 0) emit(MARK, slot);
        generate(body, isBackward);
        if (slot >= 0) check = emit(CHECK, slot);
        emit(JUMP, start);
      }, lazy);
      setExit(code.length);
      if (check >= 0) code[check + 2] = code.length;
      return;
    }
    const exits: ((other: number) => void)[] = [];
    for (let n = min; n < max; n++) exits.push(branch(operation, () => generate(body, isBackward), lazy));
    for (const setExit of exits) setExit(code.length);
  };

  generate(tree, false);
  emit(ACCEPT, -1);
  for (let at = 0; at < code.length; at += STEP) if (code[at] === JUMP && code[code[at + 1]!] === ACCEPT) code[at] = ACCEPT;
  return { code: Int32Array.from(code), sets, branches, slots };
}
