import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runCommand } from '../processes/commands.js';
import { parseArguments, UsageError } from '../terminal/command-line.js';
import { printFailure, type CommandContext } from '../terminal/command.js';
import { planPart, writePlan, type Plan } from './generate.js';
import { KINDS } from './kinds/index.js';
import { createRenderer, findNameProblem, pluralOf } from './names.js';

const GENERATOR_TIMEOUT_MS = 5 * 60_000;

export const usage = `Usage: npm run new -- <kind> <name>

Adds a part to this project: code, tests and registrations. Never overwrites a file.

Kinds:
${Object.entries(KINDS)
  .map(([name, { summary }]) => `  ${name.padEnd(10)} ${summary}`)
  .join('\n')}

The name is in kebab case. It is a singular noun, or a verb phrase for an activity, for example:

  npm run new -- workflow price-alert
  npm run new -- activity check-credit`;

/** `npm run new`: adds a part to the project in `root`. Returns the exit code. Never throws. */
export async function runNew(
  args: string[],
  { root, print, printError }: Pick<CommandContext, 'print' | 'printError'> & { root: string },
): Promise<number> {
  try {
    const command = readCommandLine(args);
    if (command === 'help') print(usage);
    else await addPart(command, { root, print });
    return 0;
  } catch (error) {
    printFailure(error, usage, printError);
    return 1;
  }
}

function readCommandLine(args: string[]): 'help' | { kindName: string; name: string } {
  const { positionals, values } = parseArguments({
    args,
    allowPositionals: true,
    options: { help: { type: 'boolean', short: 'h' } },
  });
  if (values.help) return 'help';
  const [kindName, name, ...rest] = positionals;
  if (kindName === undefined || name === undefined || rest.length > 0)
    throw new UsageError('expected a kind and a name');
  if (!Object.hasOwn(KINDS, kindName))
    throw new UsageError(`unknown kind "${kindName}": must be ${Object.keys(KINDS).join(', ')}`);
  const problem = findNameProblem(name, KINDS[kindName]!.example);
  if (problem !== undefined) throw new Error(`The name "${name}" ${problem}.`);
  return { kindName, name };
}

async function addPart(
  { kindName, name }: { kindName: string; name: string },
  { root, print }: { root: string; print: (text: string) => void },
): Promise<void> {
  const kind = KINDS[kindName]!;
  const plan = await planPart(root, kind, name);
  const words = await addUnknownWords(root, name);
  if (words !== undefined) plan.changed.set('project-words.txt', words);
  await writePlan(root, plan);
  printPlan(plan, print);
  if (kind.changesApi) {
    print('\nGenerates the OpenAPI document and the reference pages:');
    const output = await runCommand({
      name: 'openapi',
      command: process.execPath,
      args: ['tools/run.mjs', 'tools/openapi/main.ts'],
      cwd: root,
      timeoutMs: GENERATOR_TIMEOUT_MS,
    });
    print(indented(output.trim().split('\n')));
  }
  const render = createRenderer(name);
  print(`\nNext:\n${indented(kind.next.map(render))}\n\n${kind.guide} says what to change.`);
}

function printPlan({ created, changed }: Plan, print: (text: string) => void): void {
  print(`Created:\n${indented([...created.keys()])}\n\nChanged:\n${indented([...changed.keys()].sort())}`);
}

const indented = (lines: string[]) => lines.map((line) => `  ${line}`).join('\n');

/** Returns the words that the spelling check accepts, with the name if it is new. Undefined if the name is known. */
async function addUnknownWords(root: string, name: string): Promise<string | undefined> {
  const words = [...new Set(`${name}-${pluralOf(name)}`.split('-'))];
  const known = await readFile(join(root, 'project-words.txt'), 'utf8');
  const unknown = await unknownWordsOf(root, words);
  if (unknown.length === 0) return undefined;
  const lines = [...known.trimEnd().split('\n'), ...unknown];
  return `${lines.sort((one, other) => (one.toLowerCase() < other.toLowerCase() ? -1 : 1)).join('\n')}\n`;
}

/** Returns the words that the spelling check does not accept. */
async function unknownWordsOf(root: string, words: string[]): Promise<string[]> {
  const args = ['node_modules/cspell/bin.mjs', 'lint', '--words-only', '--unique', '--no-summary', '--no-progress'];
  const output = await new Promise<string>((resolve) => {
    // The exit code is 1 when words are unknown.
    const child = execFile(process.execPath, [...args, 'stdin'], { cwd: root }, (_error, stdout) => resolve(stdout));
    child.stdin!.end(words.join('\n'));
  });
  return output.split('\n').filter((word) => words.includes(word));
}
