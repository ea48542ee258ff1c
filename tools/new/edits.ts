import ts from 'typescript';

/** A change of a file that exists. */
export interface Edit {
  file: string;
  /** Returns the changed text. @throws an Error that says which anchor is missing. */
  apply: (text: string) => string;
  /** What the edit adds, for a message to a person who must do it by hand. */
  adds: string;
}

/** Adds an import after the last import of a file. */
export function addImport(file: string, statement: string): Edit {
  return {
    file,
    adds: statement,
    apply(text) {
      const last = parse(file, text).statements.filter(ts.isImportDeclaration).at(-1);
      if (!last) throw new Error('there is no import');
      return insert(text, last.end, `\n${statement}`);
    },
  };
}

/**
 * Adds an entry at the end of a list: of the array or object that `name` holds, or of the object that the function `name`
 * returns. The list can have any position in the file.
 */
export function addToList(file: string, name: string, entry: string): Edit {
  return {
    file,
    adds: `${entry}  (in ${name})`,
    apply(text) {
      const lists = findLists(parse(file, text), name);
      if (lists.length !== 1) throw new Error(`there are ${lists.length} lists with the name ${name}, expected 1`);
      const list = lists[0]!;
      const items = ts.isArrayLiteralExpression(list) ? list.elements : list.properties;
      const last = items.at(-1);
      const position = last ? last.end : list.end - 1;
      const separator = last && !items.hasTrailingComma ? ',' : '';
      if (last && items.hasTrailingComma) return insert(text, items.end, `\n${entry},`);
      return insert(text, position, `${separator}\n${entry},\n`);
    },
  };
}

/** Imports a value and adds it to a list of the same file. */
export function imported(
  file: string,
  { name, from, list, entry }: { name: string; from: string; list: string; entry: string },
): Edit[] {
  return [addImport(file, `import { ${name} } from '${from}';`), addToList(file, list, entry)];
}

/** Adds lines after the last line that matches. */
export function addAfterLast(file: string, pattern: RegExp, lines: string): Edit {
  return {
    file,
    adds: lines,
    apply(text) {
      const all = text.split('\n');
      const last = all.findLastIndex((line) => pattern.test(line));
      if (last === -1) throw new Error(`no line matches ${String(pattern)}`);
      return [...all.slice(0, last + 1), lines, ...all.slice(last + 1)].join('\n');
    },
  };
}

/** Adds text at the end of a file. */
export function append(file: string, added: string): Edit {
  return { file, adds: added, apply: (text) => `${text.trimEnd()}\n${added}\n` };
}

const parse = (file: string, text: string) =>
  ts.createSourceFile(file, text, { languageVersion: ts.ScriptTarget.Latest, jsDocParsingMode: 0 }, true);

const insert = (text: string, position: number, added: string) =>
  text.slice(0, position) + added + text.slice(position);

type List = ts.ArrayLiteralExpression | ts.ObjectLiteralExpression;

function findLists(source: ts.SourceFile, name: string): List[] {
  const lists: List[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isVariableDeclaration(node) && node.name.getText() === name && node.initializer) {
      const list = literalOf(node.initializer);
      if (list) lists.push(list);
    }
    if (ts.isFunctionDeclaration(node) && node.name?.text === name) {
      const returned = node.body?.statements.find(ts.isReturnStatement)?.expression;
      const list = returned && literalOf(returned);
      if (list) lists.push(list);
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return lists;
}

/** Returns the literal in `[…] as const` and `{…} satisfies T`. */
function literalOf(expression: ts.Expression): List | undefined {
  if (ts.isArrayLiteralExpression(expression) || ts.isObjectLiteralExpression(expression)) return expression;
  if (ts.isAsExpression(expression) || ts.isSatisfiesExpression(expression)) return literalOf(expression.expression);
  if (ts.isParenthesizedExpression(expression)) return literalOf(expression.expression);
  return undefined;
}
