import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { findDeclaration } from './declarations.js';
import { findMarkedBlocks } from './marked-blocks.js';

/**
 * Returns a Markdown page with current code from the sources. The marker of a code block names a file and its
 * declarations: "```ts code: src/worker.ts#main", `#Saga.compensate` for a method, `#first,second` for several
 * declarations. Without `#`, the block contains the whole file.
 *
 * @throws when a file or a declaration does not exist.
 */
export async function updateCodeBlocks(page: string, root: string): Promise<string> {
  const lines = page.split('\n');
  // The last block first, so that the line numbers of the other blocks stay valid.
  for (const { marker, line, start, end, indentation } of findMarkedBlocks(page).reverse()) {
    const [, path, names] = /^code: ([^#]+)(?:#(.+))?$/.exec(marker) ?? [];
    if (path === undefined) continue;
    try {
      const source = await readFile(join(root, path), 'utf8');
      const code =
        names === undefined
          ? source
          : names
              .split(',')
              .map((name) => findDeclaration(source, name))
              .join('\n\n');
      const indented = code
        .trimEnd()
        .split('\n')
        .map((each) => (each === '' ? each : indentation + each));
      lines.splice(start, end - start, ...indented);
    } catch (error) {
      throw new Error(`line ${line}: ${(error as Error).message}`, { cause: error });
    }
  }
  return lines.join('\n');
}
