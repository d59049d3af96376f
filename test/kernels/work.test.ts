import { expect, it } from 'vitest';
import { tileMemory } from '../../src/kernels/wasm/tile.js';
import { DOT_TILES } from '../../src/kernels/wasm/dot-tile.js';
import { TILES } from '../../src/kernels/wasm/lookup-products.js';
import { WORK_BYTES } from '../../src/kernels/wasm/jobs.js';
import { panelBlocks, ROW_BLOCK } from '../../src/kernels/wasm/layout.js';

it('the largest task of each token tile fits the work space of a thread', () => {
  for (const tile of [...TILES, ...DOT_TILES]) {
    const { sums16, rowBytes } = tileMemory(tile);
    expect(sums16 + 64 * ROW_BLOCK * rowBytes).toBeLessThanOrEqual(WORK_BYTES);
  }
});

it('panels have at most 64 row blocks, and every thread gets some where there are enough rows', () => {
  for (const rows of [1, 32, 33, 1024, 2560, 5632, 13824, 32000, 256000]) {
    for (let threads = 1; threads <= 64; threads++) {
      const panel = panelBlocks(rows, threads);
      expect(panel).toBeGreaterThanOrEqual(1);
      expect(panel).toBeLessThanOrEqual(64);
      const blocks = Math.ceil(rows / 32);
      // Rounding a share up may leave the last threads with nothing, but never more than a share is lost to it.
      if (threads > 1) expect(Math.ceil(blocks / panel) * panel - blocks).toBeLessThan(panel);
      if (threads > 1) expect(Math.ceil(blocks / panel)).toBeGreaterThanOrEqual(Math.min(threads, blocks) / 2);
    }
  }
});
