import ts from 'typescript';
import { enclosingTest, findRemoval, type Removal } from './removal.js';

/** Types of tables stay, because the migrations that create the tables stay. The command does not change itself. */
const UNCHANGED_FILES =
  /\/(?:src\/store\/(?:tables|postgres\/privileges)\.ts$|src\/store\/migrations\/|(?:tools|test\/tools|test\/e2e)\/keep\/)/;

/** Returns the parts of a file that carry one of the words: declarations, properties, entries of lists, tests. */
export function findNamedParts(source: ts.SourceFile, words: readonly string[]): Removal[] {
  if (UNCHANGED_FILES.test(source.fileName)) return [];
  const isTest = source.fileName.endsWith('.test.ts');
  const removals: Removal[] = [];
  const add = (removal: Removal | undefined) => removal && removals.push(removal);
  const visit = (node: ts.Node): void => {
    if (isDeclaration(node) && node.name && containsWord(node.name.getText(), words))
      return void add(findRemoval(node));
    if (ts.isStringLiteralLike(node) || ts.isTemplateExpression(node)) {
      const text = node.getText().slice(1, -1);
      const names = ts.isLiteralTypeNode(node.parent) ? containsWord(text, words) : namesIn(text, words);
      if (names && isTest && enclosingTest(node)) add(testPart(node));
      else if (names) add(entryOf(node));
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return removals;
}

type Named = ts.Declaration & { name?: ts.Node };

const isDeclaration = (node: ts.Node): node is Named =>
  ts.isFunctionDeclaration(node) ||
  ts.isInterfaceDeclaration(node) ||
  ts.isTypeAliasDeclaration(node) ||
  ts.isPropertyAssignment(node) ||
  ts.isShorthandPropertyAssignment(node) ||
  ts.isMethodDeclaration(node) ||
  ts.isPropertySignature(node) ||
  (ts.isVariableDeclaration(node) && ts.isSourceFile(node.parent.parent.parent));

/** Whether an identifier or a key contains a word: `startBatch`, `BATCH_LIMIT`, `'batch-failed'`. */
const containsWord = (name: string, words: readonly string[]): boolean =>
  name
    .replaceAll(/([a-z0-9])([A-Z])/g, '$1 $2')
    .toLowerCase()
    .split(/[^a-z0-9]+/)
    .some((part) => words.includes(part));

/** Whether a text is a name, an id or a path of the pattern, and not a sentence. */
const namesIn = (text: string, words: readonly string[]): boolean =>
  new RegExp(`^(?:/v1/|/console/|/)?(?:${words.join('|')})(?:[^a-z\\s]\\S*)?$`).test(text);

/** In a list of literals, only the entry goes. Elsewhere, the test goes. */
function testPart(node: ts.Node): Removal | undefined {
  return ts.isArrayLiteralExpression(node.parent) ? findRemoval(node) : findRemoval(enclosingTest(node)!);
}

function entryOf(node: ts.Node): Removal | undefined {
  const { parent } = node;
  if (ts.isArrayLiteralExpression(parent) || ts.isCaseClause(parent) || ts.isLiteralTypeNode(parent))
    return findRemoval(ts.isCaseClause(parent) ? parent : node);
  if (ts.isPropertyAssignment(parent) && ts.isArrayLiteralExpression(parent.parent.parent))
    return findRemoval(parent.parent);
  return undefined;
}
