import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { checkout } from '../../dev/settings.js';
import type { SearchAttribute } from '../../src/temporal/namespace.js';
import { SEARCH_ATTRIBUTES } from '../../src/temporal/search-attributes.js';
import { readComposeFile } from '../support/compose.js';
import { roleOf } from '../support/deployment.js';

/** docs/deployment.md, as far as it can be wrong. */
const guide = readFileSync(join(checkout, 'docs/deployment.md'), 'utf8');

test('when somebody makes the Search Attributes by hand, then those that are listed, with their types', () => {
  const listed = [...guide.matchAll(/^\| `(\w+)` +\| `(\w+)` +\|$/gm)].map(([, name, type]) => [name, type]);
  const shown: Partial<Record<SearchAttribute['type'], string>> = {
    ...{ KEYWORD: 'Keyword', KEYWORD_LIST: 'KeywordList', DATETIME: 'Datetime' },
  };
  expect(listed).toEqual(SEARCH_ATTRIBUTES.map(({ name, type }) => [name, shown[type]]));
});

test('when somebody starts a program of the image, then it is there', () => {
  const commands = [...guide.matchAll(/^\| `(node [^`]+)`/gm)].map(([, command = '']) => roleOf(command.split(' ')));
  expect(commands).toEqual(['setup', 'worker', 'api']);
});

test('when somebody opens a page of the compose file, then it is published', () => {
  const { services } = readComposeFile('docker-compose.yml');
  const published = Object.values(services).flatMap(({ ports = [] }) => ports.map((port) => port.split(':')[1]));
  const named = [...guide.matchAll(/http:\/\/127\.0\.0\.1:(\d+)/g)].map(([, port]) => port);
  expect([...new Set(named)].sort()).toEqual(published.sort());
});
