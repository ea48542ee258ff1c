import ts from 'typescript';

/**
 * Returns the text of a top-level declaration, or of a class member as `Class.member`, with its comment and without
 * indentation.
 *
 * @throws when the source has no such declaration.
 */
export function findDeclaration(source: string, name: string): string {
  const file = ts.createSourceFile('source.ts', source, ts.ScriptTarget.Latest, true);
  const [first, member] = name.split('.');
  const declaration = file.statements.find((statement) => declaredNames(statement).includes(first));
  const node =
    member !== undefined && declaration && ts.isClassDeclaration(declaration)
      ? declaration.members.find((each) => nameOf(each.name) === member)
      : declaration;
  if (!node || (member !== undefined && node === declaration)) throw new Error(`the source does not declare ${name}`);
  return withoutIndentation(source.slice(lineStart(source, node.getStart(file, true)), node.getEnd()));
}

function declaredNames(statement: ts.Statement): (string | undefined)[] {
  if (ts.isVariableStatement(statement)) return statement.declarationList.declarations.map(({ name }) => nameOf(name));
  return [nameOf(ts.getNameOfDeclaration(statement as unknown as ts.Declaration))];
}

function nameOf(node: ts.Node | undefined): string | undefined {
  return node && (ts.isIdentifier(node) || ts.isPrivateIdentifier(node)) ? node.text : undefined;
}

function lineStart(text: string, position: number): number {
  return text.lastIndexOf('\n', position - 1) + 1;
}

function withoutIndentation(text: string): string {
  const [indentation = ''] = /^ */.exec(text) ?? [];
  return text.replaceAll(new RegExp(`^${indentation}`, 'gm'), '');
}
