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
  async findConflict(root, name) {
    const { camel } = toName(name);
    const folder = join(root, 'src', 'activities');
    for (const file of (await readdir(folder)).filter((entry) => entry.endsWith('.ts'))) {
      // Two activities of one type would replace each other without an error.
      if (new RegExp(`\\basync ${camel}\\(`).test(await readFile(join(folder, file), 'utf8')))
        return `src/activities/${file} has an activity of the type ${camel}`;
    }
    return undefined;
  },
  next: ['npm test -- test/activities/sample-case.test.ts', 'npm run check'],
};
