import { readFileSync } from 'node:fs';
import ts from 'typescript';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ArgumentError, compileChoices, MatMulFreeLM } from 'matmulfree';
import { MatMulFreeWorker } from 'matmulfree/worker';
import { CHAT_MODELS, QWEN_LIKE } from '../support/chat.js';
import { repository } from '../support/files.js';
import { WorkerInProcess } from '../support/worker-in-process.js';

/* What a worker does not have is what the README and the comment of MatMulFreeWorker say: no more, and no less. */

/** Public members of a class's objects, from its source: their names, and whether each is a method. */
function members(file: string, name: string): Map<string, boolean> {
  const source = ts.createSourceFile(file, readFileSync(repository(file), 'utf8'), ts.ScriptTarget.Latest, true);
  const found = source.statements.find((statement): statement is ts.ClassDeclaration => ts.isClassDeclaration(statement) && statement.name?.text === name)!;
  const isHidden = (member: ts.ClassElement): boolean =>
    (ts.getCombinedModifierFlags(member) & (ts.ModifierFlags.Private | ts.ModifierFlags.Static)) !== 0 || ts.getJSDocTags(member).some(({ tagName }) => tagName.text === 'internal');
  const named = found.members.filter((member) => member.name !== undefined && ts.isIdentifier(member.name) && !isHidden(member));
  return new Map(named.map((member) => [(member.name as ts.Identifier).text, ts.isMethodDeclaration(member)]));
}

/** What users call an object, its class, and the class that stands for it in the page. */
const CLASSES = [
  ['lm', members('src/lm.ts', 'MatMulFreeLM'), members('src/worker/worker-lm.ts', 'MatMulFreeWorker')],
  ['state', members('src/model/state.ts', 'ModelState'), members('src/worker/worker-state.ts', 'WorkerState')],
  ['session', members('src/generate/session.ts', 'Session'), members('src/worker/worker-session.ts', 'WorkerSession')],
  ['mark', members('src/generate/session.ts', 'SessionMark'), members('src/worker/worker-session.ts', 'WorkerSessionMark')],
  ['chat', members('src/generate/conversation.ts', 'Conversation'), members('src/worker/worker-chat.ts', 'WorkerChat')],
] as const;

const plain = (text: string): string => text.replace(/\s+(\* )?/g, ' ');
const SAID = /A worker has no (?<members>[^;]*); none of the options (?<options>[^;]*); of the tokenizer only (?<tokenizer>[^;]*); nothing that takes [^;]*; and (?<methods>[^;]*) are methods there\./;
const said = SAID.exec(plain(readFileSync(repository('README.md'), 'utf8')));
/** In code font, but for what is in brackets. */
const names = (part: string): string[] => [...said!.groups![part]!.replace(/\(.*?\)/g, '').matchAll(/`(.*?)`/g)].map((match) => match[1]!).sort();

describe('what a worker does not have', () => {
  it('is said in the README, and by the comment of the class in the same words', () => {
    expect(said).not.toBeNull();
    expect(SAID.exec(plain(readFileSync(repository('src/worker/worker-lm.ts'), 'utf8')))?.[0]).toBe(said![0]);
  });

  it('is said of every public member', () => {
    const missing = CLASSES.flatMap(([name, here, there]) => [...here.keys()].filter((member) => !there.has(member)).map((member) => `${name}.${member}`));
    expect(missing.sort()).toEqual(names('members'));
    const methods = CLASSES.flatMap(([name, here, there]) => [...here].filter(([member, isMethod]) => !isMethod && there.get(member)).map(([member]) => `${name}.${member}`));
    expect(methods.sort()).toEqual(names('methods'));
    expect([...members('src/worker/worker-lm.ts', 'WorkerTokenizer').keys()].sort()).toEqual(names('tokenizer'));
  });

  describe('of options', () => {
    const files = CHAT_MODELS[0]!.files(1);
    const inProcess = (): Worker => new WorkerInProcess() as unknown as Worker;
    let lm: MatMulFreeWorker;
    let right: MatMulFreeLM;
    beforeAll(async () => {
      lm = await MatMulFreeWorker.load(files, { worker: inProcess(), threads: 1, chatTemplate: QWEN_LIKE });
      right = await MatMulFreeLM.load(files, { threads: 1 });
    });
    afterAll(() => {
      lm.dispose();
      right.dispose();
    });

    const generate = (options: object): Promise<unknown> => lm.generate('a', options).next();
    const REFUSED: Record<string, () => Promise<unknown>> = {
      prefixCache: async () => generate({ prefixCache: await right.createPrefixCache() }),
      draftModel: () => generate({ draftModel: right }),
      logitsProcessor: () => generate({ logitsProcessor() {} }),
      out: async () => lm.forward(1, await lm.createState(), { out: new Float32Array(right.config.vocabSize) } as object),
      families: () => MatMulFreeWorker.load(files, { worker: inProcess(), families: [{ name: 'mine' }] } as object),
      onProgress: async () => (await lm.chat()).say('a', { onProgress() {} } as object).next(),
      speculate: () => generate({ speculate: () => undefined }),
      constraint: async () => generate({ constraint: await compileChoices(['a'], right.tokenizer) }),
    };

    it('is refused by name', async () => {
      expect(Object.keys(REFUSED).sort()).toEqual(names('options'));
      for (const [name, call] of Object.entries(REFUSED)) {
        const error: unknown = await call().then(() => 'it is taken', (reason: unknown) => reason);
        expect(error, name).toBeInstanceOf(ArgumentError);
        expect((error as Error).message).toMatch(new RegExp(`^[a-z.]+: an argument cannot be sent to the worker: the option ${name} `));
      }
    });
  });
});
