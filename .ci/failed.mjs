// node .ci/failed.mjs FOLDER NAME …: a line for each test that failed, or passed the second time, of what vitest left as FOLDER/NAME.json and NAME.log; then the counts of the first.
import { existsSync, readFileSync } from 'node:fs';
import { relative } from 'node:path';

const [folder, ...names] = process.argv.slice(2);
let counts = '';
for (const name of names) {
  const path = `${folder}/${name}.json`;
  if (!existsSync(path)) {
    console.log(`FAILED: ${name} left no report`);
    continue;
  }
  const report = JSON.parse(readFileSync(path, 'utf8'));
  counts ||= `${report.numPassedTests} passed, ${report.numFailedTests} failed, ${report.numPendingTests} skipped`;
  for (const file of report.testResults) {
    for (const { status, title, failureMessages } of file.assertionResults) {
      if (status === 'failed' || failureMessages?.length > 0) tell(status === 'failed' ? 'FAILED' : 'TRIED TWICE', name, file.name, title, failureMessages[0]?.split(/\n\s+at /)[0]);
    }
    if (file.status !== 'passed' && !file.assertionResults.some(({ status }) => status === 'failed')) tell('FAILED', name, file.name, 'outside its tests', file.message);
  }
  // Errors of no test are in no report, and fail the run all the same.
  const [, unhandled] = readFileSync(`${folder}/${name}.log`, 'utf8').replaceAll(/\u001b\[[\d;]*m|⎯/g, '').split(/Uncaught Exception|Unhandled Rejection/);
  if (unhandled) console.log(`FAILED in ${name}: errors of no test: ${unhandled.replaceAll(/\s+/g, ' ').slice(0, 400)}`);
}
console.log(counts);

function tell(what, run, file, test, message = '') {
  console.log(`${what} in ${run}: ${relative('.', file)}: ${test}: ${message.replaceAll(/\s+/g, ' ').slice(0, 200)}`);
}
