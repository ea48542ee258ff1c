import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse, parseAllDocuments } from 'yaml';
import { describe, expect, test } from 'vitest';
import type { RemovalContext, TextEditor } from '../../../tools/keep/other-files/index.js';
import { removeLinks } from '../../../tools/keep/other-files/links.js';
import { removeWorkers } from '../../../tools/keep/other-files/manifests.js';
import { removeAlerts, removePanels } from '../../../tools/keep/other-files/monitoring.js';
import { removeSections } from '../../../tools/keep/other-files/sections.js';
import { removeScripts } from '../../../tools/keep/other-files/scripts.js';
import { projectRoot } from '../../support/processes.js';

/** The project after the files of batches were deleted. */
const context: RemovalContext = {
  words: ['batch', 'batches'],
  removedAnchors: new Set(['docs/index.md#batches']),
  exists: (path) => !/batch/.test(path) && existsSync(join(projectRoot, path)),
};

async function edit(editor: TextEditor, file: string) {
  const text = await readFile(join(projectRoot, file), 'utf8');
  return { text, edited: editor(text, context, file) };
}

const namesOf = (text: string) =>
  parseAllDocuments(text).map((document) => document.getIn(['metadata', 'name']) as string);

describe('removal of a pattern from other files', () => {
  test('removes the scaled object of the workers and keeps all others', async () => {
    const { text, edited } = await edit(
      removeWorkers,
      'deploy/kubernetes/components/backlog-autoscaling/scaled-objects.yaml',
    );

    expect(namesOf(edited)).toEqual(namesOf(text).filter((name) => name !== 'worker-batches'));
    expect(namesOf(text)).toContain('worker-batches');
  });

  test('removes the folder of the workers from the base and keeps its comments', async () => {
    const { text, edited } = await edit(removeWorkers, 'deploy/kubernetes/base/kustomization.yaml');
    const { resources } = parse(text) as { resources: string[] };

    expect(parse(edited)).toMatchObject({ resources: resources.filter((path) => path !== 'workers/batches') });
    expect(edited.match(/#/g)?.length).toBe(text.match(/#/g)?.length);
  });

  test('removes the alert of batches and keeps all others', async () => {
    const { text, edited } = await edit(removeAlerts, 'deploy/observability/alerts.yml');
    const alertsOf = (yaml: string) => [...yaml.matchAll(/alert: (\w+)/g)].map(([, name]) => name);

    expect(alertsOf(edited)).toEqual(alertsOf(text).filter((name) => name !== 'BatchStalled'));
  });

  test('removes the panels of batches and keeps panels with other metrics', async () => {
    const { text, edited } = await edit(removePanels, 'deploy/observability/grafana/dashboards/shop.json');
    const titlesOf = (json: string) => [...json.matchAll(/"title": "([^"]+)"/g)].map(([, title]) => title!);
    const removed = titlesOf(text).filter((title) => !titlesOf(edited).includes(title));

    expect(removed.length).toBeGreaterThan(3);
    expect(removed.filter((title) => !/batch/i.test(title))).toEqual([]);
  });

  test('removes a script whose program is gone', async () => {
    const { text, edited } = await edit(removeScripts, 'package.json');
    const scriptsOf = (json: string) => Object.keys((JSON.parse(json) as { scripts: object }).scripts);

    expect(scriptsOf(edited)).toEqual(scriptsOf(text).filter((name) => name !== 'batch'));
  });

  test('removes sections, rows and code blocks with the name', () => {
    const page = [
      '# Alerts',
      '| `BatchStalled` | warning |',
      '| `TargetDown` | critical |',
      '## BatchStalled',
      'A batch is idle.',
      '### Causes',
      '## TargetDown',
      '```sh',
      'npm run batch',
      '```',
    ].join('\n');

    expect(removeSections(page, context.words)).toEqual({
      text: '# Alerts\n| `TargetDown` | critical |\n## TargetDown',
      anchors: ['batchstalled', 'causes'],
    });
  });

  test('removes rows and items with a broken link, and only the link in a sentence', () => {
    const text = [
      'See [batches](patterns/batch.md) and [orders](patterns/order.md).',
      '',
      '- [Batches](patterns/batch.md): many items,',
      '  in chunks',
      '- [Orders](patterns/order.md)',
      '- [Orders](patterns/order.md), [batches](patterns/batch.md)',
      '',
      '| [batch](patterns/batch.md) | fan-out |',
      '| [order](patterns/order.md) | saga |',
    ].join('\n');

    expect(removeLinks(text, context, 'docs/index.md')).toBe(
      [
        'See batches and [orders](patterns/order.md).',
        '',
        '- [Orders](patterns/order.md)',
        '- [Orders](patterns/order.md), batches',
        '',
        '| [order](patterns/order.md) | saga |',
      ].join('\n'),
    );
  });
});
