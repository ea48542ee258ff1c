import ts from 'typescript';

/** A part of a source file that the command removes, or replaces by `text`. */
export interface Removal {
  start: number;
  end: number;
  text?: string;
}

/** Returns the smallest part around a node that can go without the rest of the file losing its meaning. */
export function findRemoval(node: ts.Node): Removal | undefined {
  const test = testAround(node);
  if (test) return whole(test);
  for (let current = node; !ts.isSourceFile(current); current = current.parent) {
    const removal = removalOf(current);
    if (removal) return removal;
  }
  return undefined;
}

function removalOf(node: ts.Node): Removal | undefined {
  const { parent } = node;
  if (ts.isImportSpecifier(node) || ts.isExportSpecifier(node)) {
    const list = parent as ts.NamedImports | ts.NamedExports;
    return list.elements.length > 1 ? listElement(node) : undefined;
  }
  if (ts.isArrayLiteralExpression(parent)) return arrayElement(node as ts.Expression, parent);
  if (ts.isObjectLiteralExpression(parent)) return listElement(node);
  if (ts.isBindingElement(node) && ts.isObjectBindingPattern(parent))
    return parent.elements.length > 1 || !ts.isVariableDeclaration(parent.parent) ? listElement(node) : undefined;
  // `Backends & { batches: BatchServices }` becomes `Backends`.
  if (ts.isTypeLiteralNode(parent) && parent.members.length === 1 && ts.isIntersectionTypeNode(parent.parent))
    return typeOperand(parent);
  if (ts.isTypeElement(node) || ts.isClassElement(node) || ts.isEnumMember(node)) return listElement(node);
  if (ts.isTupleTypeNode(parent) || ts.isParameter(node)) return listElement(node);
  if ((ts.isUnionTypeNode(parent) || ts.isIntersectionTypeNode(parent)) && parent.types.length > 1)
    return typeOperand(node);
  if (ts.isCaseClause(node)) return whole(node);
  if (ts.isConditionalExpression(parent))
    return replaced(parent, node === parent.whenFalse ? parent.whenTrue : parent.whenFalse);
  if (ts.isBinaryExpression(parent) && isAlternative(parent))
    return replaced(parent, node === parent.left ? parent.right : parent.left);
  return ts.isStatement(node) ? statement(node) : undefined;
}

function statement(node: ts.Statement): Removal | undefined {
  if (ts.isBlock(node)) return undefined;
  const { parent } = node;
  if (ts.isIfStatement(parent) && parent.elseStatement)
    return node === parent.elseStatement
      ? { start: parent.thenStatement.end, end: node.end }
      : replaced(parent, parent.elseStatement);
  if (!('statements' in parent)) return undefined;
  const test = enclosingTest(node);
  if (test) return whole(test);
  // Without its result, the function around it has no meaning.
  if (ts.isReturnStatement(node) || ts.isThrowStatement(node)) return undefined;
  return whole(node);
}

/** Returns the statement `test(…)` whose callback uses the node. Rows of `test.each` are not in the callback. */
function testAround(node: ts.Node): ts.Node | undefined {
  const test = enclosingTest(node);
  const callback = test && ts.isCallExpression(test.expression) ? test.expression.arguments.at(1) : undefined;
  return callback && callback.pos <= node.pos && callback.end >= node.end ? test : undefined;
}

/** Returns the statement `test(…)` whose callback contains the node. */
export function enclosingTest(node: ts.Node): ts.ExpressionStatement | undefined {
  for (let current = node; !ts.isSourceFile(current); current = current.parent)
    if (ts.isExpressionStatement(current) && /^test\b/.test(current.getText())) return current;
  return undefined;
}

/** Whether an operand has a meaning without the other. In product code, an operand of `&&` can guard the other. */
const isAlternative = (node: ts.BinaryExpression): boolean =>
  [ts.SyntaxKind.BarBarToken, ts.SyntaxKind.QuestionQuestionToken].includes(node.operatorToken.kind) ||
  (node.operatorToken.kind === ts.SyntaxKind.AmpersandAmpersandToken && /\/test\//.test(node.getSourceFile().fileName));

/** Returns the groups of tests that contain no test. Vitest fails for them. */
export const findEmptyGroups = (source: ts.SourceFile): Removal[] =>
  source.statements
    .filter((statement) => /^describe/.test(statement.getText()) && !/\btest\b/.test(statement.getText()))
    .map(whole);

const whole = (node: ts.Node): Removal => ({ start: startWithComments(node), end: node.end });

/** The start of a node and its comments. A comment that an empty line separates from the node stays. */
function startWithComments(node: ts.Node): number {
  const { text } = node.getSourceFile();
  const comments = ts.getLeadingCommentRanges(text, node.getFullStart()) ?? [];
  const detached = comments.findLast(({ end }) => /^\s*\n\s*\n/.test(text.slice(end, end + 100)));
  return detached?.end ?? node.getFullStart();
}

const replaced = (node: ts.Node, by: ts.Node): Removal => ({
  start: node.getStart(),
  end: node.end,
  text: by.getText(),
});

/** An element of a list, with the comma or semicolon that follows it. */
export function listElement(node: ts.Node): Removal {
  const rest = node.getSourceFile().text.slice(node.end);
  return { start: startWithComments(node), end: node.end + /^\s*,|/.exec(rest)![0].length };
}

function typeOperand(node: ts.Node): Removal {
  const { text } = node.getSourceFile();
  const before = /[|&]\s*$/.exec(text.slice(0, node.getStart()));
  if (before) return { start: before.index, end: node.end };
  return { start: node.getStart(), end: node.end + /^\s*[|&]/.exec(text.slice(node.end))![0].length };
}

/** The cell of a row goes with its row. An element of `const [a, b] = await Promise.all([…])` goes only with its statement, so that the others keep their places. */
function arrayElement(node: ts.Expression, list: ts.ArrayLiteralExpression): Removal | undefined {
  if (ts.isArrayLiteralExpression(list.parent)) return undefined;
  const declaration = ts.findAncestor(list, ts.isVariableDeclaration);
  if (!declaration || !ts.isArrayBindingPattern(declaration.name)) return listElement(node);
  const call = list.parent;
  return ts.isCallExpression(call) && /^Promise\.all/.test(call.expression.getText()) ? undefined : listElement(node);
}

/** Applies removals from the last to the first. A removal inside another one goes with it. */
export function applyRemovals(text: string, removals: readonly Removal[]): string {
  const outer = removals.filter(
    (one, index) =>
      !removals.some(
        (other, position) =>
          other.start <= one.start &&
          other.end >= one.end &&
          (other.end - other.start > one.end - one.start || position < index),
      ),
  );
  let result = text;
  let last = Infinity;
  for (const { start, end, text: by = '' } of outer.sort((one, other) => other.start - one.start)) {
    if (end > last) continue;
    result = result.slice(0, start) + by + result.slice(end);
    last = start;
  }
  return result;
}
