/** What is found out about a grammar once all of it is built. */
import type { Both, Node } from './grammar.js';
import { refuse } from './refuse.js';

/**
 * Finds out which nodes match the empty text, and which match anything at all.
 * @param meet whether the two sides of a node have a text in common; their own facts are known by then.
 * @throws ArgumentError for a rule that contains itself without anything before it.
 */
export function seal(nodes: readonly Node[], meet: (both: Both) => boolean): void {
  const met = new Map<Both, boolean>();
  const wholes: (Node[] | undefined)[] = new Array<Node[] | undefined>(nodes.length); // by number of a part
  for (const node of nodes) {
    for (const part of partsOf(node)) {
      if (part.kind === 'bytes' || part.kind === 'text') continue; // all is known of these
      const list = (wholes[part.id] ??= []);
      if (list.at(-1) !== node) list.push(node);
    }
  }
  // In this order parts come before what they are parts of; only the bodies of rules may come later.
  const due = [...nodes];
  const isDue = new Uint8Array(nodes.length).fill(1);
  for (const node of due) {
    isDue[node.id] = 0;
    if (node.kind === 'both' && !met.has(node)) met.set(node, meet(node));
    const nullable = isNullable(node);
    const productive = isProductive(node, met);
    if (nullable === node.nullable && productive === node.productive) continue;
    node.nullable = nullable;
    node.productive = productive;
    for (const whole of wholes[node.id] ?? []) {
      if (isDue[whole.id]) continue;
      isDue[whole.id] = 1;
      due.push(whole);
    }
  }
  refuseLeftRecursion(nodes);
}

function refuseLeftRecursion(nodes: readonly Node[]): void {
  const state = new Map<Node, 'open' | 'done'>();
  for (const start of nodes) {
    if (start.kind !== 'rule') continue;
    const open: { node: Node; next: Node[] }[] = [];
    const enter = (node: Node): void => {
      if (state.get(node) === 'done') return;
      if (state.get(node) === 'open') {
        const rule = open.map((step) => step.node).find((step) => step.kind === 'rule');
        refuse(`${rule?.kind === 'rule' ? rule.name : 'a rule'} refers to itself without anything before it`);
      }
      state.set(node, 'open');
      open.push({ node, next: firstParts(node) });
    };
    enter(start);
    while (open.length > 0) {
      const top = open.at(-1)!;
      const next = top.next.pop();
      if (next) enter(next);
      else state.set(open.pop()!.node, 'done');
    }
  }
}

function isNullable(node: Node): boolean {
  switch (node.kind) {
    case 'bytes': case 'text': return false;
    case 'sequence': return node.parts.every((part) => part.nullable);
    case 'choice': return node.parts.some((part) => part.nullable);
    case 'repeat': return node.min === 0 || node.body.nullable;
    case 'rule': return node.body.nullable;
    case 'both': return node.a.nullable && node.b.nullable;
  }
}

function isProductive(node: Node, met: ReadonlyMap<Both, boolean>): boolean {
  switch (node.kind) {
    case 'bytes': case 'text': return true;
    case 'sequence': return node.parts.every((part) => part.productive);
    case 'choice': return node.parts.some((part) => part.productive);
    case 'repeat': return node.min === 0 || node.body.productive;
    case 'rule': return node.body.productive;
    case 'both': return met.get(node) === true;
  }
}

function partsOf(node: Node): readonly Node[] {
  switch (node.kind) {
    case 'bytes': case 'text': return [];
    case 'sequence': case 'choice': return node.parts;
    case 'repeat': case 'rule': return [node.body];
    case 'both': return [node.a, node.b];
  }
}

/** The parts with which a text of the node may begin. */
function firstParts(node: Node): Node[] {
  switch (node.kind) {
    case 'sequence': {
      const solid = node.parts.findIndex((part) => !part.nullable);
      return node.parts.slice(0, solid < 0 ? undefined : solid + 1);
    }
    case 'choice': return [...node.parts];
    case 'repeat': case 'rule': return [node.body];
    default: return [];
  }
}
