import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { imported } from '../edits.js';
import { toName } from '../names.js';
import type { Kind } from './kind.js';

export const activity: Kind = {
  summary: 'an activity: a call to an external system or the database, with its test',
  guide: 'docs/guides/add-an-activity.md',
  example: 'check-credit',
  templates: ['activity'],
  changesApi: false,
  edits: () =>
    imported('src/activities/index.ts', {
      name: 'createSampleCaseActivities',
      from: './sample-case.js',
      list: 'createActivities',
      entry: '...createSampleCaseActivities(deps)',
    }),
  findConflict: findActivityConflict,
  next: ['npm test -- test/activities/sample-case.test.ts', 'npm run check'],
};

/** Two activities of one type would replace each other without an error. */
export async function findActivityConflict(root: string, name: string): Promise<string | undefined> {
  const { camel } = toName(name);
  const folder = join(root, 'src', 'activities');
  for (const file of (await readdir(folder)).filter((entry) => entry.endsWith('.ts'))) {
    if (new RegExp(`^ {4}(async )?${camel}\\(`, 'm').test(await readFile(join(folder, file), 'utf8')))
      return `src/activities/${file} has an activity of the type ${camel}`;
  }
  return undefined;
}
