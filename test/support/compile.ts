import { readFileSync } from 'node:fs';
import ts from 'typescript';

const compiled = new Map<string, string>();

/** A module of src or test as `tsc` would write it. */
export function compile(file: string): string {
  let text = compiled.get(file);
  if (text === undefined) {
    text = ts.transpileModule(readFileSync(file, 'utf8'), {
      compilerOptions: { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ES2022, verbatimModuleSyntax: true },
    }).outputText;
    compiled.set(file, text);
  }
  return text;
}
