import ts from 'typescript';
import { enclosingTest, findRemoval, type Removal } from './removal.js';

/** Applied migrations never change. */
const UNCHANGED_FILES = /\/src\/store\/migrations\//;

/** An id, a path, the name of a variable, or a sample of a metric. */
const IDENTIFIER = /^[\w./:?=&-]+(?: \d+)?$/;

/** Returns the parts of a file that carry one of the words: declarations, properties, entries of lists, tests. */
export function findNamedParts(source: ts.SourceFile, words: readonly string[]): Removal[] {
  if (UNCHANGED_FILES.test(source.fileName)) return [];
  const isTest = source.fileName.endsWith('.test.ts');
  const removals: Removal[] = [];
  const add = (removal: Removal | undefined) => removal && removals.push(removal);
  const visit = (node: ts.Node): void => {
    if (isTest && isTitled(node, words)) return void add(findRemoval(node));
    if (isDeclaration(node) && node.name && containsWord(node.name.getText(), words))
      return void add(findRemoval(node));
    if (ts.isStringLiteralLike(node) || ts.isTemplateExpression(node)) {
      const text = node.getText().slice(1, -1);
      const isEntry = ts.isArrayLiteralExpression(node.parent) && IDENTIFIER.test(text);
      const names = isEntry || ts.isLiteralTypeNode(node.parent) ? containsWord(text, words) : namesIn(text, words);
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
  (ts.isVariableDeclaration(node) &&
    (ts.isSourceFile(node.parent.parent.parent) ||
      (node.initializer && ts.isArrowFunction(node.initializer)) === true));

/** Whether a test, or a group of tests, has one of the words in its title. */
function isTitled(node: ts.Node, words: readonly string[]): boolean {
  if (!ts.isExpressionStatement(node) || !ts.isCallExpression(node.expression)) return false;
  const { expression, arguments: values } = node.expression;
  const [title] = values;
  return (
    /^(?:test|describe)/.test(expression.getText()) &&
    title !== undefined &&
    ts.isStringLiteralLike(title) &&
    containsWord(title.text, words)
  );
}

/** Whether an identifier or a key contains a word: `startBatch`, `BATCH_LIMIT`, `'batch-failed'`. */
export const containsWord = (name: string, words: readonly string[]): boolean =>
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
