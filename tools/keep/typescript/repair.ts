import ts from 'typescript';
import { applyRemovals, findEmptyGroups, findRemoval, listElement, type Removal } from './removal.js';
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
/** Imports, declarations and variables that nothing uses after the removals. */
const UNUSED = new Set([6133, 6192, 6196, 6198, 6199]);
const TOO_MANY_ARGUMENTS = 2554;
const MAX_ROUNDS = 60;

/**
 * Removes the parts of files and of their importers that no longer compile. Continues with the importers of each changed
 * file, until all of these files compile.
 *
 * @throws when a part cannot be removed.
 */
export function repairSources(sources: Sources, files: Iterable<string>, print: (text: string) => void): void {
  let changed = new Set(files);
  let withErrors: readonly string[] = [];
  for (let round = 1; round <= MAX_ROUNDS; round += 1) {
    const problems = collectProblems(sources, new Set([...changed, ...withErrors, ...sources.importersOf(changed)]));
    if (problems.removals.size === 0) return;
    print(`round ${round}: ${[...problems.removals.values()].flat().length} uses in ${problems.removals.size} files`);
    for (const [file, removals] of problems.removals) {
      sources.change(file, applyRemovals(sources.text(file), removals));
    }
    changed = new Set(problems.removals.keys());
    withErrors = problems.files;
  }
  throw new Error(`The project does not compile after ${MAX_ROUNDS} rounds. See docs/guides/remove-a-pattern.md.`);
}

/** Returns the removals for the most basic errors, and all files with errors. */
function collectProblems(
  sources: Sources,
  suspects: Iterable<string>,
): { removals: Map<string, Removal[]>; files: string[] } {
  const { program } = sources;
  const removals = new Map<string, Removal[]>();
  const all = [...suspects].flatMap((name) => {
    const file = program.getSourceFile(name);
    if (!file) return [];
    const diagnostics = [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)];
    const emptyGroups = sources.changed.has(name) ? findEmptyGroups(file) : [];
    if (emptyGroups.length > 0) removals.set(name, emptyGroups);
    // The project allows unused variables: lint reports them. The command removes only those of its own changes.
    return sources.changed.has(name) ? diagnostics : diagnostics.filter(({ code }) => !UNUSED.has(code));
  });
  const errors = firstOf(
    ...CAUSES.map((codes) => all.filter(({ code }) => codes.has(code))),
    all.filter(({ code }) => !UNUSED.has(code) && !LOST_TYPES.has(code)),
    all,
  );
  for (const error of errors) {
    const removal = removalFor(error);
    if (removal && !isCertain(error) && isDeclaration(removal, error.file!)) throw unremovable(error);
    if (process.env.KEEP_DEBUG) {
      const { file, start, messageText, code } = error;
      const { line } = file!.getLineAndCharacterOfPosition(start!);
      console.log(
        `  ${file!.fileName.slice(9)}:${line + 1} ${code} ${ts.flattenDiagnosticMessageText(messageText, ' ').slice(0, 200)}\n     => ${removal ? file!.text.slice(removal.start, removal.end).trim().replaceAll(/\s+/g, ' ').slice(0, 400) : 'NOTHING'}`,
      );
    }
    if (!removal) continue;
    const file = error.file!.fileName;
    removals.set(file, [...(removals.get(file) ?? []), removal]);
  }
  const error = errors.find(({ code }) => !UNUSED.has(code));
  if (removals.size === 0 && error) throw unremovable(error);
  return { removals, files: all.flatMap((diagnostic) => diagnostic.file?.fileName ?? []) };
}

/** Whether the error names a missing or unused part. Other errors can have their cause elsewhere. */
const isCertain = ({ code }: ts.Diagnostic): boolean => UNUSED.has(code) || CAUSES.some((codes) => codes.has(code));

/** Whether a removal takes a whole declaration of product code. */
function isDeclaration({ start, end }: Removal, { fileName, statements }: ts.SourceFile): boolean {
  if (!/\/(?:src|tools)\//.test(fileName)) return false;
  return statements.some((statement) => start <= statement.getStart() && end >= statement.end);
}

const unremovable = ({ file, messageText }: ts.Diagnostic): Error =>
  new Error(`${file?.fileName}: cannot remove this use: ${ts.flattenDiagnosticMessageText(messageText, ' ')}`);

const firstOf = <T>(...lists: T[][]): T[] => lists.find((list) => list.length > 0) ?? [];

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
