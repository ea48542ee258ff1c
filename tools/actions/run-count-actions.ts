import { readCommittedHistories, readHistoryFile } from '../replay/histories.js';
import { parseArguments, resolveUserPath } from '../terminal/command-line.js';
import { printFailure, type CommandContext } from '../terminal/command.js';
import { ACTION_KINDS, countActions, totalOf } from './count-actions.js';

export const usage = `Usage: npm run count-actions [-- <file> …]

Counts the Temporal Cloud Actions of recorded histories. docs/operations/cost.md lists what a history does not show.

  (no file)   the histories under test/replay/histories
  <file>      a history, as "temporal workflow show --output json" prints it
  --help      show this text

Exit code: 0 all counted, 2 invalid options or no such history`;

/** `npm run count-actions`: prints the Actions of each history as a table. Returns the exit code. Never throws. */
export async function runCountActions(
  args: string[],
  { print, printError }: Omit<CommandContext, 'env'>,
): Promise<number> {
  try {
    const { values, positionals: files } = parseArguments({
      args,
      allowPositionals: true,
      options: { help: { type: 'boolean' } },
    });
    print(values.help ? usage : await renderCounts(files));
    return 0;
  } catch (error) {
    printFailure(error, usage, printError);
    return 2;
  }
}

async function renderCounts(files: string[]): Promise<string> {
  const histories =
    files.length > 0
      ? await Promise.all(files.map((file) => readHistoryFile(resolveUserPath(file, 'count-actions'))))
      : await readCommittedHistories();
  const counted = histories.map(({ file, history }) => ({ file, counts: countActions(history) }));
  const kinds = ACTION_KINDS.filter((kind) => counted.some(({ counts }) => counts[kind]));
  const rows = counted.map(({ file, counts }) => [
    file,
    String(totalOf(counts)),
    ...kinds.map((kind) => String(counts[kind] ?? 0)),
  ]);
  return alignColumns([['history', 'Actions', ...kinds], ...rows]);
}

/** Aligns the first column to the left and the numbers to the right. */
function alignColumns(rows: string[][]): string {
  const widths = rows[0]!.map((_cell, column) => Math.max(...rows.map((row) => row[column]!.length)));
  const align = (cell: string, column: number) =>
    column === 0 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!);
  return rows.map((row) => row.map(align).join('  ')).join('\n');
}
