import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { findMarkedBlocks, type CodeBlock } from '../../../tools/docs/marked-blocks.js';
import { projectRoot } from '../processes.js';

/** A code block that a reader types, with the output that the page shows. */
export interface PageStep {
  command: CodeBlock;
  output: CodeBlock | undefined;
}

/**
 * Returns the steps of a page, or the reason why the page has no steps. The marker after the language of a code block
 * says what the block is:
 *
 * - `run`: commands that succeed; `run: fails`: commands of which one fails;
 * - `start`: the command that starts the stack;
 * - `output`: the output of the block before; `output: eventually`: the reader repeats the commands until their output
 *   is as shown.
 */
export async function readSteps(page: string): Promise<{ steps: PageStep[] } | { missing: string }> {
  const text = await readPage(page);
  if (text === undefined) return { missing: 'the page does not exist' };
  const steps = toSteps(findMarkedBlocks(text));
  return steps.length > 0 ? { steps } : { missing: 'the page has no marked commands' };
}

/** Returns the commands among the blocks, each with its output. */
export function toSteps(blocks: CodeBlock[]): PageStep[] {
  const ofSteps = blocks.filter(({ marker }) => /^(start|run|output)(:|$)/.test(marker));
  return ofSteps.flatMap((command, index) => {
    const next = ofSteps[index + 1];
    if (isOutput(command)) return [];
    return [{ command, output: next && isOutput(next) ? next : undefined }];
  });
}

/** Returns the code block of a page that contains a file, or the reason why the page has no such block. */
export async function readFileBlock(page: string, path: string): Promise<{ code: string } | { missing: string }> {
  const text = await readPage(page);
  if (text === undefined) return { missing: `${page} does not exist` };
  const block = findMarkedBlocks(text).find(({ marker }) => marker === `file: ${path}`);
  return block ?? { missing: `${page} has no code block that is marked as ${path}` };
}

async function readPage(page: string): Promise<string | undefined> {
  const path = join(projectRoot, page);
  return existsSync(path) ? await readFile(path, 'utf8') : undefined;
}

const isOutput = ({ marker }: Pick<CodeBlock, 'marker'>): boolean => /^output(:|$)/.test(marker);
