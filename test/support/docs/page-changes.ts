import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { findCodeBlocks, type CodeBlock } from '../../../tools/docs/marked-blocks.js';
import { projectRoot } from '../processes.js';

/** The content of each file, keyed by its name. */
export type Files = ReadonlyMap<string, string>;

type Action = 'Create' | 'Change' | 'Try in';

/** A code block of a page that shows how to write code. */
export interface PageBlock extends CodeBlock {
  /** From the line before the block, for example "Create `contract.ts`:". */
  action?: Action;
  file?: string;
}

const INTRODUCTION = /(?:^|\s)(?<action>Create|Change|Try in) `(?<file>[\w./-]+)`:$/;

/** Returns the code blocks of a page, with the change that each block makes. Empty if the page does not exist. */
export function readPageBlocks(page: string): PageBlock[] {
  const path = join(projectRoot, page);
  if (!existsSync(path)) return [];
  return findCodeBlocks(readFileSync(path, 'utf8')).map((block) => {
    const { action, file } = INTRODUCTION.exec(block.introduction)?.groups ?? {};
    return { ...block, ...(action !== undefined && { action: action as Action, file: file! }) };
  });
}

/** Returns the files after the blocks with these actions are applied. @throws when a change does not fit. */
export function applyBlocks(files: Files, blocks: PageBlock[], actions: Action[]): Files {
  const result = new Map(files);
  for (const { action, file, code } of blocks) {
    if (action === undefined || file === undefined || !actions.includes(action)) continue;
    const current = result.get(file);
    if ((action === 'Create') !== (current === undefined)) throw new Error(`${action} ${file}: wrong action`);
    result.set(file, current === undefined ? `${code}\n` : applyChange(current, `${code}\n`, file));
  }
  return result;
}

/** Applies the places of a diff in order. Each place must occur exactly once after the place before. */
function applyChange(text: string, diff: string, file: string): string {
  let done = '';
  let rest = text;
  for (const place of diff.split('@@\n')) {
    const lines = place.split('\n').slice(0, -1);
    const before = linesWithout('+', lines);
    const parts = rest.split(before);
    if (parts.length !== 2) throw new Error(`${file} contains ${parts.length - 1} times:\n${before}`);
    done += parts[0] + linesWithout('-', lines);
    rest = parts[1]!;
  }
  return done + rest;
}

/** Returns the lines of a diff without the lines that have this sign. The other lines lose their first character. */
const linesWithout = (sign: '+' | '-', lines: string[]): string =>
  lines
    .filter((line) => !line.startsWith(sign))
    .map((line) => `${line.slice(1)}\n`)
    .join('');

/** A command in a `console` block, and the output that the block shows. */
export interface Command {
  command: string;
  output: string;
}

/** Returns the commands of a `console` block. Each of them starts with `$`. */
export function commandsOf({ code }: CodeBlock): Command[] {
  return code
    .split(/^\$ /m)
    .slice(1)
    .map((part) => {
      const [command, ...output] = part.trimEnd().split('\n');
      return { command: command!, output: output.join('\n') };
    });
}
