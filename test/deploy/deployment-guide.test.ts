import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { SearchAttributeKey } from '../../src/temporal/provisioning.js';
import { SEARCH_ATTRIBUTES } from '../../src/temporal/search-attributes.js';
import { projectRoot } from '../support/processes.js';
import { resolveComposeFile } from '../support/deploy/compose.js';
import { roleOfCommand } from '../support/deploy/program-roles.js';

/** The tests compare the facts in docs/operations/deployment.md with the code. */
const guide = readFileSync(join(projectRoot, 'docs/operations/deployment.md'), 'utf8');

test('the deployment guide lists all search attributes with their types', () => {
  const listed = [...guide.matchAll(/^\| `(\w+)` +\| `(\w+)` +\|$/gm)].map(([, name, type]) => [name, type]);
  const shown: Partial<Record<SearchAttributeKey['type'], string>> = {
    KEYWORD: 'Keyword',
    KEYWORD_LIST: 'KeywordList',
    DATETIME: 'Datetime',
  };
  expect(listed).toEqual(SEARCH_ATTRIBUTES.map(({ name, type }) => [name, shown[type]]));
});

test('the deployment guide starts only programs that the image contains', () => {
  const commands = [...guide.matchAll(/^\| `(node [^`]+)`/gm)].map(([, command = '']) =>
    roleOfCommand(command.split(' ')),
  );
  expect(commands).toEqual(['setup', 'worker', 'api']);
});

test('the deployment guide links to every published port of the Compose file and to no other port', () => {
  const { services } = resolveComposeFile('docker-compose.yml');
  const published = Object.values(services).flatMap(({ ports = [] }) => ports.map((port) => port.split(':')[1]));
  const named = [...guide.matchAll(/http:\/\/127\.0\.0\.1:(\d+)/g)].map(([, port]) => port);
  expect([...new Set(named)].sort()).toEqual(published.sort());
});
