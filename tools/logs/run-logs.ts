import { readdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { loadSettings } from '../settings/settings.js';
import { parseArguments, UsageError } from '../terminal/command-line.js';
import { printFailure, type CommandContext } from '../terminal/command.js';
import { findLogLines, formatLogLine } from './log-lines.js';

export const usage = `Usage: npm run logs -- <id>
Prints the log lines of one workflow from all processes of "npm start", in the sequence of their times: lines that contain
the id, and the other lines of the same HTTP requests.

  <id>     a workflow id, such as order:42, or only 42
  --help   show this text

Exit code: 0 if there are lines, 1 if there are none, 2 after an error`;

const exitCodes = { found: 0, nothing: 1, failed: 2 };

/** `npm run logs`. Returns the exit code. Never throws. */
export async function runLogs(args: string[], context: CommandContext): Promise<number> {
  try {
    return await main(args, context);
  } catch (error) {
    printFailure(error, usage, context.printError);
    return exitCodes.failed;
  }
}

async function main(args: string[], { env, print }: CommandContext): Promise<number> {
  const { values, positionals } = parseArguments({
    args,
    allowPositionals: true,
    options: { help: { type: 'boolean', default: false } },
  });
  if (values.help) {
    print(usage);
    return exitCodes.found;
  }
  const [id, ...rest] = positionals;
  if (!id || rest.length > 0) throw new UsageError('Name one workflow: npm run logs -- order:42');
  const folder = join(loadSettings(env).dataDir, 'logs');
  const lines = findLogLines(await readLogs(folder), id);
  for (const line of lines) print(formatLogLine(line));
  if (lines.length > 0) return exitCodes.found;
  print(`No line in ${folder} contains ${id}`);
  return exitCodes.nothing;
}

/** Returns the text of each log file by the name of its process. */
async function readLogs(folder: string): Promise<Map<string, string>> {
  const files = await readdir(folder).catch(() => {
    throw new Error(`${folder} does not exist: start a stack with "npm start" first`);
  });
  const logs = files.filter((file) => file.endsWith('.log'));
  const texts = await Promise.all(logs.map((file) => readFile(join(folder, file), 'utf8')));
  return new Map(logs.map((file, index) => [basename(file, '.log'), texts[index]!]));
}
