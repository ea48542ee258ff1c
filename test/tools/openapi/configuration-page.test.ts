import { beforeAll, expect, test } from 'vitest';
import { VARIABLES } from '../../../src/config/variables/index.js';
import { PROFILE_VARIABLES } from '../../../src/temporal/connection-profile.js';
import { renderConfigurationPage } from '../../../tools/openapi/configuration-page.js';
import { variableRules } from '../../../tools/settings/variable-rules.js';

let page: string;
/** The cells of the first row of each variable, by its name. */
let rows: Map<string, string[]>;
beforeAll(async () => {
  page = await renderConfigurationPage();
  const cells = page
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .map((line) =>
      line
        .split('|')
        .map((cell) => cell.trim())
        .slice(1, -1),
    );
  rows = new Map(cells.toReversed().map(([name = '', ...others]) => [name.replaceAll('`', ''), others]));
});

test('the configuration page lists every variable of the application and of npm start', () => {
  const names = [...Object.keys(VARIABLES), ...PROFILE_VARIABLES, ...Object.keys(variableRules)];
  for (const name of names) expect([...rows.keys()]).toContain(name);
});

test('the configuration page shows the meaning, default, values and processes of a variable', () => {
  expect(rows.get('PORT')).toEqual(['The port on which the API listens.', '`3000`', 'integer from 1 to 65535', 'API']);
  expect(rows.get('WORKER_TUNER')?.slice(1)).toEqual(['`fixed`', '`fixed`, `resource-based`', 'worker']);
  expect(rows.get('WORKER_TASK_QUEUES')?.[1]).toBe('all');
  expect(rows.get('DATABASE_POOL_SIZE')?.at(-1)).toBe('worker, API, setup');
});

test('the configuration page marks secrets and required variables', () => {
  expect(rows.get('DATABASE_URL')).toEqual([
    expect.stringContaining('**Secret.**'),
    'required',
    'PostgreSQL connection URL',
    'worker, API, setup',
  ]);
  expect(rows.get('TEMPORAL_API_KEY')?.[0]).toContain('**Secret.**');
  expect(rows.get('HOST')?.[0]).not.toContain('Secret');
});

test('the configuration page contains no secret of the development environment', () => {
  expect(page).not.toMatch(/development-only|whsec_[A-Za-z0-9]/);
});
