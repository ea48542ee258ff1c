import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** Banned phrases, each with the text to write instead. */
const PHRASES: readonly (readonly [pattern: RegExp, instead: string])[] = [
  [/\b(he|him|his)\b/i, 'the noun, or "they"'],
  [/\bwho(ever)? asks\b|\bwhoever\b/i, '"the caller", "the customer"'],
  [/\b(is|are|was|be) told\b|\btold of\b/i, '"is notified", "receives", "logs"'],
  [/\bfor good\b/i, '"permanently", "for ever"'],
  [/\bat last\b/i, '"finally", or a time'],
  [/\bso many\b/i, 'the number'],
  [/\bby chance\b/i, '"at random"'],
  [/\bin peace\b/i, '"cleanly"'],
  [/\bis there no more\b/i, '"no longer exists"'],
  [/\bgo(es)? along\b/i, '"continues"'],
  [/\b(go|goes|went|going) on\b/i, '"continues", "resumes"'],
  [/\bdear(er|est)?\b/i, '"expensive"'],
  [/\b(look|ask)(s|ed|ing)? again\b/i, '"polls", "retries"'],
  [/\b(give|gives|gave|given) back\b/i, '"compensates", "returns"'],
  [/\bunder fire\b/i, '"during a chaos run"'],
  [/\boutside world\b/i, '"external systems"'],
  [/\bplayed\b/i, '"fake"'],
  [/\btall(y|ies)\b/i, '"progress", "count"'],
  [/\bcrowd\b/i, '"load generator", "clients"'],
  [/\bnone that\b/i, 'say what it is'],
  [/\bundo(es|ne|ing)?\b/i, '"compensate", "roll back"'],
];

const PROSE = /\.(md|ts|mts|mjs|js|ya?ml|sh)$|(^|\/)Dockerfile$/;
/** Files that are not checked: the definition of the phrases, its test, and generated files. */
const EXEMPT = [
  'tools/project/check-phrases.ts',
  'test/tools/project/check-phrases.test.ts',
  'docs/reference/problems.md',
  'docs/reference/limits.md',
];

/** Returns the banned phrases in a text, one line per phrase. */
export function findPhrases(file: string, text: string): string[] {
  return text.split('\n').flatMap((line, index) =>
    PHRASES.flatMap(([pattern, instead]) => {
      const found = pattern.exec(line)?.[0];
      return found === undefined ? [] : [`${file}:${index + 1}: "${found}": write ${instead}`];
    }),
  );
}

/** Checks all files of the repository for banned phrases. @throws with one line for each banned phrase. */
export async function checkPhrases(folder: string): Promise<void> {
  const { stdout } = await promisify(execFile)('git', ['-c', 'safe.directory=*', 'ls-files', '-z'], { cwd: folder });
  // Git also lists deleted files until the deletion is committed.
  const files = stdout
    .split('\0')
    .filter((file) => PROSE.test(file) && !EXEMPT.includes(file) && existsSync(join(folder, file)));
  const problems = await Promise.all(
    files.map(async (file) => findPhrases(file, await readFile(join(folder, file), 'utf8'))),
  );
  if (problems.flat().length > 0) throw new Error(problems.flat().join('\n'));
}
