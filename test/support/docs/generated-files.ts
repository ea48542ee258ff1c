import { renderTemplates } from '../../../tools/new/generate.js';
import { KINDS } from '../../../tools/new/kinds/index.js';
import { projectRoot } from '../processes.js';
import type { PageBlock } from './page-changes.js';

/** Returns the files that the `npm run new` commands in these blocks create. */
export async function generatedFilesOf(blocks: PageBlock[]): Promise<string[]> {
  const commands = blocks.flatMap(({ code }) => [...code.matchAll(/^npm run new -- (?<kind>\S+) (?<name>\S+)$/gm)]);
  const files = await Promise.all(
    commands.map(async ({ groups }) => {
      const { templates } = KINDS[groups!.kind!]!;
      return [...(await renderTemplates(projectRoot, templates, groups!.name!)).keys()];
    }),
  );
  return files.flat();
}
