/* The page: puts its parts together. strand.ts and dialogue.ts are where the model is used. */
import { BackendError } from 'matmulfree/worker';
import { offerModels } from './chooser.js';
import { watchDock } from './dock.js';
import { showMode, type Mode, type Page } from './mode.js';
import { EMBEDDED, Models, type LoadedModel } from './models.js';
import { keepForOffline } from './offline.js';
import { element } from './page.js';
import { Plots } from './plots.js';
import { Rate } from './rate.js';
import { watchSettings } from './settings.js';
import { storyControls } from './story-controls.js';
import { inPlainWords, showTrouble } from './trouble.js';

const models = new Models(async ({ lm, info }: LoadedModel, isAgain) => {
  if (isAgain) return mode.moveTo(lm);
  plots.setModel({ layers: lm.config.layers, hiddenSize: lm.config.hiddenSize, stateBytes: info.stateBytes, stateBytesPerToken: info.stateBytesPerToken });
  await mode.clear(); // it was another model's
  const next = lm.hasChatTemplate ? await (chat ??= import('./chat-controls.js').then(({ chatControls }) => chatControls(page))) : story;
  if (next !== mode) showMode(next);
  mode = next;
});

const plots = new Plots();
const page: Page = {
  plots,
  rate: new Rate(),
  // There is none where loading was cancelled, or failed.
  model: async () => (await models.get()) ?? (await models.reload(), await models.get()),
  showError(error) {
    showTrouble(inPlainWords(error), error instanceof BackendError ? () => void models.reload() : undefined);
  },
};
const story = storyControls(page);
/** Fetched when there is a model that converses. */
let chat: Promise<Mode> | undefined;
let mode = story;

element('controls').addEventListener('submit', (event) => {
  event.preventDefault();
  mode.submit();
});
// What nobody expected is told too.
addEventListener('unhandledrejection', ({ reason }) => showTrouble(inPlainWords(reason)));
element('asleep').hidden = true;
watchSettings();
watchDock();
offerModels((wish) => void models.load(wish));
await models.load(EMBEDDED);
await keepForOffline();
