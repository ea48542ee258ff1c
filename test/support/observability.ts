import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { checkout } from '../../tools/stack/settings.js';

const FOLDER = join(checkout, 'deploy', 'observability');
export const PROMETHEUS_FILE = join(FOLDER, 'prometheus.yml');
export const ALERTS_FILE = join(FOLDER, 'alerts.yml');
const DASHBOARDS = join(FOLDER, 'grafana', 'dashboards');

export interface Alert {
  alert: string;
  expr: string;
  for: string;
  labels: { severity: string };
  annotations: { summary: string; description: string; runbook_url: string };
}
interface Recorded {
  record: string;
  expr: string;
}
interface Rules {
  groups: { name: string; rules: (Alert | Recorded)[] }[];
}

interface Panel {
  title: string;
  description?: string;
  type: string;
  targets?: { expr: string }[];
  datasource?: { uid: string };
}
export interface Dashboard {
  uid: string;
  title: string;
  panels: Panel[];
}

const read = (file: string) => parse(readFileSync(file, 'utf8')) as unknown;

export const rules = read(ALERTS_FILE) as Rules;
export const alerts = rules.groups.flatMap((group) => group.rules).filter((rule) => 'alert' in rule);

/** The Prometheus scrape configuration, with the targets of this machine and optional further jobs. */
export function scraping(targets: Record<string, string[]>, others: object[] = []): object {
  const config = read(PROMETHEUS_FILE) as { scrape_configs: { job_name: string; metrics_path?: string }[] };
  const ours = config.scrape_configs.map(({ job_name, metrics_path }) => ({
    job_name,
    ...(metrics_path && { metrics_path }),
    static_configs: [{ targets: targets[job_name] }],
  }));
  return { global: { scrape_interval: '1s', evaluation_interval: '1s' }, scrape_configs: [...ours, ...others] };
}

export const dashboards: Dashboard[] = readdirSync(DASHBOARDS).map(
  (file) => JSON.parse(readFileSync(join(DASHBOARDS, file), 'utf8')) as Dashboard,
);

/** The alert rules with time sped up sixty times: minutes become seconds, in durations and in thresholds of seconds. */
export function hurried(): Rules {
  const faster = (text: string) =>
    text
      .replaceAll(/\b(\d+)m\b/g, '$1s')
      .replace(/(_seconds > )(\d+)$/, (_, before: string, seconds: string) => `${before}${Number(seconds) / 60}`);
  return {
    groups: rules.groups.map((group) => ({
      ...group,
      rules: group.rules.map((rule) => ({
        ...rule,
        expr: faster(rule.expr),
        ...('for' in rule && { for: faster(rule.for) }),
      })),
    })),
  };
}

/**
 * The measured side of an alert's expression, without its threshold. @throws when the expression does not end with a
 * comparison.
 */
export function withoutComparison(expr: string): string {
  const [, left] = /^([^]*) (?:>|<|==) [\d.]+$/.exec(expr) ?? [];
  if (left === undefined) throw new Error(`it does not end with a comparison: ${expr}`);
  return left;
}
