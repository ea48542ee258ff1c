import { PATTERN_DETAILS, PATTERNS, type PatternName } from './patterns.js';
import { parseArguments, UsageError } from '../terminal/command-line.js';

export const usage = `Usage: npm run keep -- <patterns>

Keeps these workflow patterns, and removes the others from the project: code, tests, histories.
Changes the files in place. Needs a clean Git tree, so that git diff shows the result.

Patterns: ${PATTERNS.join(', ')}

  npm run keep -- order,approval`;

const GUIDE = 'docs/guides/remove-a-pattern.md';

/** Returns the patterns to remove. @throws UsageError for an unknown pattern, or for one that the others need. */
export function readCommandLine(args: string[]): 'help' | PatternName[] {
  const { positionals, values } = parseArguments({
    args,
    allowPositionals: true,
    options: { help: { type: 'boolean', short: 'h' } },
  });
  if (values.help) return 'help';
  const kept = positionals.flatMap((list) => list.split(',')).filter(Boolean);
  if (kept.length === 0) throw new UsageError('expected the patterns to keep');
  const unknown = kept.find((name) => !(PATTERNS as readonly string[]).includes(name));
  if (unknown !== undefined) throw new UsageError(`unknown pattern "${unknown}": must be ${PATTERNS.join(', ')}`);
  const removed = PATTERNS.filter((name) => !kept.includes(name));
  for (const name of removed) {
    const { neededBecause } = PATTERN_DETAILS[name];
    if (neededBecause)
      throw new UsageError(
        `cannot remove the pattern "${name}": ${neededBecause}. Add it to the list, or remove it by hand: ${GUIDE}`,
      );
  }
  if (removed.length === 0) throw new UsageError('nothing to remove: the list contains all patterns');
  return removed;
}
