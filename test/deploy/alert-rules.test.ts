import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { projectRoot } from '../support/processes.js';
import {
  alertRules,
  dashboards,
  acceleratedRules,
  ruleFile,
  withoutThreshold,
} from '../support/deploy/monitoring-config.js';
import packageJson from '../../package.json' with { type: 'json' };

const readText = (file: string) => readFileSync(join(projectRoot, file), 'utf8');
const runbook = readText('docs/operations/runbook.md');
const paragraphs = runbook
  .split(/^## /m)
  .slice(1)
  .map((paragraph) => ({ title: paragraph.split('\n')[0]!, text: paragraph }));
const names = alertRules.map(({ alert }) => alert);

describe('the runbook', () => {
  test('the runbook has one section for each alert, in the order of the rules', () => {
    expect(paragraphs.map(({ title }) => title)).toEqual(names);
  });

  test.each(alertRules)('alert $alert has a severity, a summary, a description and a link to the runbook', (rule) => {
    expect(['warning', 'critical']).toContain(rule.labels.severity);
    expect(rule.annotations).toEqual({
      summary: expect.stringMatching(/\S/),
      description: expect.stringMatching(/\.$/),
      runbook_url: `docs/operations/runbook.md#${rule.alert.toLowerCase()}`,
    });
    expect(rule.for).toMatch(/^\d+m$/);
  });

  test.each(paragraphs)(
    'section $title explains what the alert means, how to diagnose the cause and what to do',
    ({ text }) => {
      for (const part of ['What it means', 'How to diagnose', 'What to do']) expect(text).toContain(`**${part}.**`);
    },
  );

  test('the runbook refers only to existing commands, pages and sections', () => {
    for (const [, script] of runbook.matchAll(/npm run ([\w:-]+)/g))
      expect(packageJson.scripts).toHaveProperty(script!);
    for (const [, target] of runbook.matchAll(/\]\((?!https?:)([^)#]+)?/g))
      if (target) readText(join('docs/operations', target));
    for (const [, anchor] of runbook.matchAll(/\]\(#([^)]+)\)/g))
      expect(names.map((name) => name.toLowerCase())).toContain(anchor);
  });

  test('docs/operations/observability.md lists the same alerts and severities as the rules', () => {
    const listed = [...readText('docs/operations/observability.md').matchAll(/^\| `([A-Z]\w+)` +\| (\w+) +\|/gm)];
    expect(listed.map(([, name, severity]) => [name, severity])).toEqual(
      alertRules.map(({ alert, labels }) => [alert, labels.severity]),
    );
  });
});

describe('the alert rules', () => {
  test('every alert compares an expression with a number', () => {
    for (const { expr } of alertRules) expect(withoutThreshold(expr)).not.toBe('');
  });

  test('acceleratedRules divides every duration and every threshold in seconds by sixty', () => {
    const slow = JSON.stringify(ruleFile);
    const fast = JSON.stringify(acceleratedRules());
    expect(slow).toMatch(/\b5m\b/);
    expect(fast).not.toMatch(/\b\d+m\b/);
    expect(fast).toContain('shop_batch_idle_seconds > 10"');
  });
});

describe('the Grafana dashboard', () => {
  const provisioned = parse(readText('deploy/observability/grafana/provisioning/datasources/prometheus.yml')) as {
    datasources: { uid: string }[];
  };

  test('the Grafana dashboard starts with the row "The four questions"', () => {
    expect(dashboards).toHaveLength(1);
    const [row, ...panels] = dashboards[0]!.panels;
    expect(row).toMatchObject({ type: 'row', title: 'The four questions' });
    expect(panels.slice(0, 4).map(({ title }) => title)).toEqual([
      'How long do workflows take?',
      'Which activities fail, and why?',
      'What is retried?',
      'What waits?',
    ]);
  });

  test('gives each panel a description, queries and the provisioned data source', () => {
    const panels = dashboards.flatMap(({ panels }) => panels).filter(({ type }) => type !== 'row');
    for (const { title, description, datasource, targets } of panels) {
      expect(datasource?.uid, title).toBe(provisioned.datasources[0]?.uid);
      expect(description, title).toMatch(/\S/);
      expect(targets?.length, title).toBeGreaterThan(0);
    }
  });
});
