import type { BackendName } from 'matmulfree';
import { readText, type FileSet } from '../src/formats/bytes.js';
import type { Host, Listener } from './host.js';
import { idsOfNames, loadTrained, type Loaded } from './load-trained.js';
import { counted, JAVASCRIPT_NOISE, ONCE_NOISE, speed, tellCost } from './results.js';
import { digitsOf, judgeStories, NAMES, perplexityOf, POSITIONS, RECALLED, type Judgement } from './stories.js';
import { CAVEAT, QUOTED, TRAINED, type TrainedModel } from './trained-models.js';
import { takeTurns } from './turns.js';

export interface QualitySettings {
  readonly backend: Exclude<BackendName, 'scalar'>;
  /** Of the hundred stories, the first so many. */
  readonly stories: number;
  readonly rounds: number;
  readonly roundMs: number;
}

const STORIES = 100;
const MAX_JSON_BYTES = 1 << 24;
/** Tokens of the prompt, and so before the one whose speed and cost are told. */
const POSITION = 256;
/** Lengths of texts whose memory is told. */
const LENGTHS = [256, 4096, 32_768];
/** Golden perplexities are of float64 evaluations, or of another implementation in float32: a rounding may flip. */
const LEAST_DIGITS = 3;

interface Contestant extends Loaded {
  readonly trained: TrainedModel;
  readonly tell: (what: string) => string;
}

const idOf = ({ id }: { readonly id: string }) => (what: string): string => `quality/${id}/${what}`;

/** The trained models over the validation stories, with what it costs. One thread. */
export async function measureQuality({ backend, stories, rounds, roundMs }: QualitySettings, host: Host, tell: Listener): Promise<void> {
  const texts = await host.open('test/fixtures/tinystories-9m/validation-stories.json');
  const found = (await Promise.all(TRAINED.map(async (trained) => ({ trained, files: await host.open(trained.path, trained.files) }))))
    .flatMap(({ trained, files }) => (files ? [{ trained, files }] : []));
  const withNames = found.find(({ trained }) => trained.id === 'ternary')?.files;
  if (!texts || !withNames) return tell.note('the trained model or its stories are not here: left out');
  const missing = TRAINED.filter(({ id }) => !found.some(({ trained }) => trained.id === id));
  if (missing.length > 0) tell.note(`trained models that are not here are left out: ${[...new Set(missing.map(({ path }) => path))].join(', ')}`);
  const ids = ((await readJson(texts)) as number[][]).slice(0, stories);
  const names = await idsOfNames(withNames, NAMES);
  tell.note(`quality: ${CAVEAT}`);

  const models: Contestant[] = [];
  for (const { trained, files } of found) {
    const start = performance.now();
    const loaded = await loadTrained(trained, files, { ours: backend, theirs: backend });
    models.push({ ...loaded, trained, tell: idOf(trained) });
    tell.result(counted(idOf(trained)('seconds to load'), 's', (performance.now() - start) / 1000, 'lower', ONCE_NOISE));
  }
  const inJavaScript: Contestant[] = [];
  for (const { trained, files } of found.filter((one) => one.trained.inJavaScript)) {
    inJavaScript.push({ ...(await loadTrained(trained, files, { ours: 'scalar', theirs: 'js' })), trained, tell: idOf(trained) });
  }
  const prompt = ids.flat().slice(0, POSITION);
  const all = [...models, ...inJavaScript];
  for (const { prefill } of all) prefill(prompt);
  const times = takeTurns([...all.map(({ decode }) => decode), ...models.map(({ prefill }) => () => prefill(prompt))], { rounds, roundMs });
  inJavaScript.forEach((model, n) => {
    const result = speed(model.tell(`decode in JavaScript at ${POSITION}`), 'tokens/s', 1, times[models.length + n], 1);
    tell.result({ ...result, noise: JAVASCRIPT_NOISE });
    model.dispose();
  });
  for (const [n, model] of models.entries()) {
    tell.result(speed(model.tell(`decode at ${POSITION}`), 'tokens/s', 1, times[n], 1));
    tell.result(speed(model.tell(`prefill ${POSITION}`), 'tokens/s', POSITION, times[all.length + n], 1));
    const judgement = judgeStories(ids, model.eachLogits, names);
    tellJudgement(model, judgement, ids.length, tell);
    if (ids.length === STORIES && model.trained.hasGolden) await compareWithGolden(model, perplexityOf(judgement.all), host, tell);
    tell.result(counted(model.tell('weights'), 'bytes', model.weightBytes));
    for (const length of LENGTHS) tell.result(counted(model.tell(`memory of ${length} tokens`), 'bytes', model.memoryAt(length)));
    tellCost(model.tell, POSITION, model.costAt(POSITION), tell);
    model.dispose();
  }
  if (ids.length === STORIES) for (const quoted of QUOTED) tell.result(counted(idOf(quoted)(`perplexity of ${STORIES} stories`), '', quoted.perplexity));
}

function tellJudgement({ tell: id }: Contestant, { all, byPosition, names }: Judgement, stories: number, { result }: Listener): void {
  const perplexity = (what: string, value: number): void => result(counted(id(what), '', value, 'lower', 1e-4));
  perplexity(`perplexity of ${stories} stories`, perplexityOf(all));
  result(counted(id('predicted tokens'), '', all.tokens, 'higher'));
  POSITIONS.forEach(([first, last], n) => {
    if (byPosition[n].tokens > 0) perplexity(`perplexity at ${first} to ${last}`, perplexityOf(byPosition[n]));
  });
  if (names.said === 0) return;
  const [least, most] = RECALLED;
  result(counted(id(`names said ${least} to ${most} tokens ago`), '', names.said, 'higher'));
  result(counted(id('names, the first guess'), '', names.first / names.said, 'higher', 1e-4));
  result(counted(id('names, the first guess of names'), '', names.firstOfNames / names.said, 'higher', 1e-4));
}

/** What `validation` of a golden.json holds: of a float64 evaluation, or of another implementation. */
interface Validation {
  readonly ppl_exact?: number;
  readonly ppl?: number;
}

async function compareWithGolden({ trained, tell: id }: Contestant, perplexity: number, host: Host, { result, failure }: Listener): Promise<void> {
  const files = await host.open(`../shared/goldens/${trained.name}`, ['golden.json']);
  if (!files) return;
  const { validation } = (await readJson(files, 'golden.json')) as { readonly validation?: Validation };
  const golden = validation?.ppl_exact ?? validation?.ppl;
  if (golden === undefined) return;
  const digits = digitsOf(perplexity, golden);
  result(counted(id(`golden perplexity of ${STORIES} stories`), '', golden));
  result(counted(id('digits of the golden perplexity'), '', digits, 'higher'));
  if (digits < LEAST_DIGITS) failure(`${trained.name}: perplexity ${perplexity}, where its golden has ${golden}`);
}

async function readJson(files: FileSet, name?: string): Promise<unknown> {
  const file = (await files.open(name ?? (await files.list())[0]))!;
  try {
    return JSON.parse(await readText(file, MAX_JSON_BYTES));
  } finally {
    await file.close();
  }
}
