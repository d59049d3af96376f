/** Runs an app that the test has bundled. */
export default async function bundled({ script, model }: { script: string; model: string }): Promise<unknown> {
  await import(script);
  return (globalThis as unknown as { run(model: string): Promise<unknown> }).run(model);
}
