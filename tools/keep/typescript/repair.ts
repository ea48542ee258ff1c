import ts from 'typescript';
import { applyRemovals, findRemoval, listElement, type Removal } from './removal.js';
import type { Sources } from './sources.js';

/**
 * Errors in the order of their removal, because the first ones cause many of the others: missing modules, missing names,
 * missing properties.
 */
const CAUSES: readonly ReadonlySet<number>[] = [
  new Set([2307]),
  new Set([2304, 2305, 2503, 2552, 2614, 2694, 2724, 18004]),
  new Set([2339, 2353, 2551, 2561]),
];
/** Errors of values whose type got lost. */
const LOST_TYPES = new Set([7005, 7006, 7011, 7022, 7023, 7024, 7031, 7034, 7053, 18046]);
const TOO_MANY_ARGUMENTS = 2554;
const MAX_ROUNDS = 60;

/**
 * Removes the parts that no longer compile, in rounds, until the project compiles. Checks in each round only the files
 * around the last changes, and at the end the whole project.
 *
 * @throws when a part cannot be removed.
 */
export function repairSources(sources: Sources, print: (text: string) => void): void {
  let suspects: Iterable<string> = sources.files;
  let isComplete = true;
  for (let round = 1; round <= MAX_ROUNDS; round += 1) {
    const { problems, files } = collectProblems(sources, suspects);
    print(`round ${round}: ${[...problems.values()].flat().length} uses to remove in ${problems.size} files`);
    if (problems.size === 0) {
      if (isComplete) return;
      isComplete = true;
      suspects = sources.files;
      continue;
    }
    isComplete = false;
    for (const [file, removals] of problems) sources.change(file, applyRemovals(sources.text(file), removals));
    suspects = new Set([...files, ...sources.importersOf(new Set(problems.keys()))]);
  }
  throw new Error(`The project does not compile after ${MAX_ROUNDS} rounds. See docs/guides/remove-a-pattern.md.`);
}

/** Returns the removals for the most basic errors, and all files with errors. */
function collectProblems(
  sources: Sources,
  suspects: Iterable<string>,
): { problems: Map<string, Removal[]>; files: string[] } {
  const all = [...suspects].flatMap((file) => [
    ...sources.service.getSemanticDiagnostics(file),
    ...sources.service.getSyntacticDiagnostics(file),
    ...(sources.changed.has(file) ? unusedIn(sources, file) : []),
  ]);
  const errors = firstOf(
    ...CAUSES.map((codes) => all.filter(({ code }) => codes.has(code))),
    all.filter(({ code, category }) => category === ts.DiagnosticCategory.Error && !LOST_TYPES.has(code)),
    all,
  );
  const problems = new Map<string, Removal[]>();
  for (const error of errors) {
    const removal = removalFor(error);
    if (!removal) continue;
    const file = error.file!.fileName;
    problems.set(file, [...(problems.get(file) ?? []), removal]);
  }
  const [error] = errors;
  if (problems.size === 0 && error?.category === ts.DiagnosticCategory.Error) throw unremovable(error);
  return { problems, files: all.flatMap((diagnostic) => diagnostic.file?.fileName ?? []) };
}

const unremovable = ({ file, messageText }: ts.Diagnostic): Error =>
  new Error(`${file?.fileName}: cannot remove this use: ${ts.flattenDiagnosticMessageText(messageText, ' ')}`);

const firstOf = <T>(...lists: T[][]): T[] => lists.find((list) => list.length > 0) ?? [];

/** Imports, declarations and variables that nothing uses after the removals. */
function unusedIn({ service }: Sources, file: string): ts.Diagnostic[] {
  return service.getSuggestionDiagnostics(file).filter(({ code }) => [6133, 6192, 6196, 6198, 6199].includes(code));
}

function removalFor({ file, start, length, code }: ts.Diagnostic): Removal | undefined {
  if (!file || start === undefined) return undefined;
  const node = nodeAt(file, start, start + (length ?? 0));
  if (!node) return undefined;
  if (code === TOO_MANY_ARGUMENTS) {
    const argument = ts.findAncestor(node, ({ parent }) => isArgument(node, parent));
    if (argument) return listElement(argument);
  }
  if (code === 6133) {
    const parameter = ts.findAncestor(node, ts.isParameter);
    if (parameter && parameter.parent.parameters.at(-1) !== parameter && ts.isIdentifier(parameter.name))
      return undefined;
    const clause = ts.findAncestor(node, ts.isImportDeclaration);
    if (clause && !ts.isImportSpecifier(node.parent)) return findRemoval(clause);
  }
  return findRemoval(node);
}

const isArgument = (node: ts.Node, parent: ts.Node | undefined): boolean =>
  parent !== undefined && ts.isCallExpression(parent) && parent.arguments.some((argument) => argument === node);

/** Returns the innermost node that covers a range. */
function nodeAt(file: ts.SourceFile, start: number, end: number): ts.Node | undefined {
  let found: ts.Node | undefined;
  const visit = (node: ts.Node): void => {
    if (node.getStart() > start || node.end < end) return;
    found = node;
    ts.forEachChild(node, visit);
  };
  ts.forEachChild(file, visit);
  return found;
}
