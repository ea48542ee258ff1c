import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { projectRoot } from './processes.js';

export interface DocumentedMetric {
  name: string;
  type: string;
  labels: string[];
  exportedBy: string;
}

/** Reads the metrics from docs/reference/metrics.md. Each table belongs to a section: Shop, SDK or Process metrics. */
export function readDocumentedMetrics(section: 'Shop' | 'SDK' | 'Process'): DocumentedMetric[] {
  const page = readFileSync(join(projectRoot, 'docs/reference/metrics.md'), 'utf8');
  const text = page.split(/^## /m).find((part) => part.startsWith(`${section} metrics`)) ?? '';
  return [...text.matchAll(/^\| `(\w+)` +\| (\w+) +\| ([^|]*) \| [^|]* \|(?: ([\w ]*\w) +\|)?$/gm)].map(
    ([, name = '', type = '', labels = '', exportedBy]) => ({
      name,
      type,
      exportedBy: exportedBy ?? (section === 'SDK' ? 'worker' : 'API'),
      labels: [...labels.matchAll(/`(\w+)`/g)].map(([, label]) => label!).sort(),
    }),
  );
}
