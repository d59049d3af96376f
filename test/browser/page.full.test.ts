import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'vitest';
import { NO_BROWSER } from './chromium.js';
import { withPage } from './example-page.js';
import { expectLooks } from './looks.js';

describe.skipIf(NO_BROWSER)(`the example page in all of its states, at all sizes, light and dark${NO_BROWSER}`, () => {
  const open = withPage();

  it('can be read, and fits', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'matmulfree-page-'));
    await expectLooks(open(), folder, folder);
    console.log(`pictures of the page in all of its states are in ${folder}`);
  });
});
