import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { checkout } from '../../dev/settings.js';
import { alerts, dashboards, hurried, rules, withoutComparison } from '../support/observability.js';
import packageJson from '../../package.json' with { type: 'json' };

const read = (file: string) => readFileSync(join(checkout, file), 'utf8');
const runbook = read('docs/runbook.md');
const paragraphs = runbook
  .split(/^## /m)
  .slice(1)
  .map((paragraph) => ({ title: paragraph.split('\n')[0]!, text: paragraph }));
const names = alerts.map(({ alert }) => alert);

describe('the runbook', () => {
  test('when there is an alert, then it has a paragraph, in the same order, and each paragraph has an alert', () => {
    expect(paragraphs.map(({ title }) => title)).toEqual(names);
  });

  test.each(alerts)('when $alert fires, then it says how bad it is, what it is, and where to read on', (rule) => {
    expect(['warning', 'critical']).toContain(rule.labels.severity);
    expect(rule.annotations).toEqual({
      ...{ summary: expect.stringMatching(/\S/), description: expect.stringMatching(/\.$/) },
      runbook_url: `docs/runbook.md#${rule.alert.toLowerCase()}`,
    });
    expect(rule.for).toMatch(/^\d+m$/);
  });

  test.each(paragraphs)(
    'when somebody reads $title, then it says what it means, how to look and what to do',
    ({ text }) => {
      for (const part of ['What it means', 'How to look', 'What to do']) expect(text).toContain(`**${part}.**`);
    },
  );

  test('when a paragraph names one of our commands, a page or another paragraph, then it is there', () => {
    for (const [, script] of runbook.matchAll(/npm run ([\w:-]+)/g))
      expect(packageJson.scripts).toHaveProperty(script!);
    for (const [, target] of runbook.matchAll(/\]\((?!https?:)([^)#]+)?/g)) if (target) read(join('docs', target));
    for (const [, anchor] of runbook.matchAll(/\]\(#([^)]+)\)/g))
      expect(names.map((name) => name.toLowerCase())).toContain(anchor);
  });

  test('when the page of metrics lists the alerts, then all of them with their severity', () => {
    const listed = [...read('docs/observability.md').matchAll(/^\| `([A-Z]\w+)` +\| (\w+) +\|/gm)];
    expect(listed.map(([, name, severity]) => [name, severity])).toEqual(
      alerts.map(({ alert, labels }) => [alert, labels.severity]),
    );
  });
});

describe('the rules', () => {
  test('when they are read, then each alert compares something with a number', () => {
    for (const { expr } of alerts) expect(withoutComparison(expr)).not.toBe('');
  });

  test('when time passes sixty times as fast for a test, then every duration and threshold of seconds does', () => {
    const slow = JSON.stringify(rules);
    const fast = JSON.stringify(hurried());
    expect(slow).toMatch(/\b5m\b/);
    expect(fast).not.toMatch(/\b\d+m\b/);
    expect(fast).toContain('shop_batch_idle_seconds > 10"');
  });
});

describe('the dashboard', () => {
  const provisioned = parse(read('deploy/observability/grafana/provisioning/datasources/prometheus.yml')) as {
    datasources: { uid: string }[];
  };

  test('when it is opened, then the four questions come first', () => {
    expect(dashboards).toHaveLength(1);
    const [row, ...panels] = dashboards[0]!.panels;
    expect(row).toMatchObject({ type: 'row', title: 'The four questions' });
    expect(panels.slice(0, 4).map(({ title }) => title)).toEqual([
      'How long do workflows take?',
      'Which activities fail, and why?',
      'What is being repeated?',
      'What is waiting?',
    ]);
  });

  test('when a panel is shown, then it asks the source that is provisioned, and says what it shows', () => {
    const panels = dashboards.flatMap(({ panels }) => panels).filter(({ type }) => type !== 'row');
    for (const { title, description, datasource, targets } of panels) {
      expect(datasource?.uid, title).toBe(provisioned.datasources[0]?.uid);
      expect(description, title).toMatch(/\S/);
      expect(targets?.length, title).toBeGreaterThan(0);
    }
  });
});
