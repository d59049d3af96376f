/** Gives triples of whole numbers of 31 bits a number each, in the order in which they come. (A Map would need a string or a float for each.) */
export class Triples {
  size = 0;
  private slots = new Int32Array(256); // number + 1 of the triple there, 0 for none: twice as many as fit in `items`
  private items = new Int32Array(3 * 128);

  /** The number of a triple: `size`, which then is one more, when it is new. */
  of(a: number, b: number, c: number): number {
    const { slots, items } = this;
    const last = slots.length - 1;
    let at = hash(a, b, c) & last;
    for (; slots[at] !== 0; at = (at + 1) & last) {
      const i = 3 * (slots[at]! - 1);
      if (items[i] === a && items[i + 1] === b && items[i + 2] === c) return slots[at]! - 1;
    }
    const end = 3 * this.size;
    items[end] = a;
    items[end + 1] = b;
    items[end + 2] = c;
    slots[at] = ++this.size;
    if (3 * this.size === items.length) this.grow();
    return this.size - 1;
  }

  private grow(): void {
    const items = new Int32Array(2 * this.items.length);
    items.set(this.items);
    const slots = new Int32Array(2 * this.slots.length);
    for (let i = 0; i < this.size; i++) {
      let at = hash(items[3 * i]!, items[3 * i + 1]!, items[3 * i + 2]!) & (slots.length - 1);
      while (slots[at] !== 0) at = (at + 1) & (slots.length - 1);
      slots[at] = i + 1;
    }
    this.items = items;
    this.slots = slots;
  }
}

function hash(a: number, b: number, c: number): number {
  let mixed = Math.imul(a, 0x9e3779b1) ^ Math.imul(b, 0x85ebca6b) ^ Math.imul(c, 0xc2b2ae35);
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x2c1b3c6d);
  return mixed ^ (mixed >>> 13);
}
