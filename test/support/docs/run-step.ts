import { expect } from 'vitest';
import type { CodeBlock } from '../../../tools/docs/marked-blocks.js';
import { waitUntil } from '../processes.js';
import { matchesOutput } from './output-pattern.js';
import type { PageStep } from './page-steps.js';
import type { CommandResult, ReaderShell } from './reader-shell.js';

const OUTPUT_TIMEOUT_MS = 60_000;
/** The API returns this problem while no worker is ready. */
const UNAVAILABLE = /"type":"\/problems\/[^}]*"status":503,/;

/** The shell of a reader, and the output of the stack that the reader has started. */
type Reader = Pick<ReaderShell, 'run'> & { startOutput?: string };

/** Runs a step of a page. @throws when a command fails or the output differs. The message has the page and the line. */
export async function runStep(page: string, step: PageStep, reader: Reader): Promise<void> {
  await runAndCompare(step, reader).catch((error: unknown) => {
    throw new Error(`${page}:${step.command.line}: ${(error as Error).message}`, { cause: error });
  });
}

async function runAndCompare({ command, output }: PageStep, reader: Reader): Promise<void> {
  if (command.marker === 'start') return expectOutput(reader.startOutput ?? '', output);
  const attempt = async (): Promise<true> => {
    const result = await runUntilAvailable(command.code, reader);
    expect(result.succeeded, `the commands fail with this output:\n${result.output}`).toBe(command.marker === 'run');
    expectOutput(result.output, output);
    return true;
  };
  if (output?.marker !== 'output: eventually') await attempt();
  else await waitUntil(attempt, { description: 'the output', timeoutMs: OUTPUT_TIMEOUT_MS, intervalMs: 250 });
}

/** Runs a code block. Repeats the block while the API returns 503, as the response asks. Every block can be repeated. */
async function runUntilAvailable(code: string, reader: Reader): Promise<CommandResult> {
  const run = async () => {
    const result = await reader.run(code);
    return UNAVAILABLE.test(result.output) ? undefined : result;
  };
  return await waitUntil(run, { description: 'an available API', timeoutMs: OUTPUT_TIMEOUT_MS, intervalMs: 250 });
}

function expectOutput(actual: string, shown: CodeBlock | undefined): void {
  if (shown && !matchesOutput(shown.code, actual)) expect(actual, `line ${shown.line}`).toBe(shown.code);
}
