import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { projectRoot } from '../processes.js';

const OBSERVABILITY_FOLDER = join(projectRoot, 'deploy', 'observability');
export const PROMETHEUS_FILE = join(OBSERVABILITY_FOLDER, 'prometheus.yml');
export const ALERTS_FILE = join(OBSERVABILITY_FOLDER, 'alerts.yml');
const DASHBOARDS_FOLDER = join(OBSERVABILITY_FOLDER, 'grafana', 'dashboards');

export interface AlertRule {
  alert: string;
  expr: string;
  for: string;
  labels: { severity: string };
  annotations: { summary: string; description: string; runbook_url: string };
}
interface RecordingRule {
  record: string;
  expr: string;
}
interface RuleFile {
  groups: { name: string; rules: (AlertRule | RecordingRule)[] }[];
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

const readYaml = (file: string) => parse(readFileSync(file, 'utf8')) as unknown;

export const ruleFile = readYaml(ALERTS_FILE) as RuleFile;
export const alertRules = ruleFile.groups.flatMap((group) => group.rules).filter((rule) => 'alert' in rule);

/** Returns the scrape configuration of Prometheus with targets on this machine. `others` contains additional jobs. */
export function scrapeConfig(targets: Record<string, string[]>, others: object[] = []): object {
  const config = readYaml(PROMETHEUS_FILE) as { scrape_configs: { job_name: string; metrics_path?: string }[] };
  const ours = config.scrape_configs.map(({ job_name, metrics_path }) => ({
    job_name,
    ...(metrics_path && { metrics_path }),
    static_configs: [{ targets: targets[job_name] }],
  }));
  return { global: { scrape_interval: '1s', evaluation_interval: '1s' }, scrape_configs: [...ours, ...others] };
}

export const dashboards: Dashboard[] = readdirSync(DASHBOARDS_FOLDER).map(
  (file) => JSON.parse(readFileSync(join(DASHBOARDS_FOLDER, file), 'utf8')) as Dashboard,
);

/**
 * Returns the alert rules, accelerated by a factor of sixty. Durations in minutes become seconds, and thresholds in
 * seconds are divided by sixty.
 */
export function acceleratedRules(): RuleFile {
  const accelerate = (text: string) =>
    text
      .replaceAll(/\b(\d+)m\b/g, '$1s')
      .replace(/(_seconds > )(\d+)$/, (_, before: string, seconds: string) => `${before}${Number(seconds) / 60}`);
  return {
    groups: ruleFile.groups.map((group) => ({
      ...group,
      rules: group.rules.map((rule) => ({
        ...rule,
        expr: accelerate(rule.expr),
        ...('for' in rule && { for: accelerate(rule.for) }),
      })),
    })),
  };
}

/**
 * Returns the left side of the comparison in an alert expression. @throws when the expression does not end with a
 * comparison.
 */
export function withoutThreshold(expr: string): string {
  const [, left] = /^([^]*) (?:>|<|==) [\d.]+$/.exec(expr) ?? [];
  if (left === undefined) throw new Error(`an alert expression must end with a comparison: ${expr}`);
  return left;
}
