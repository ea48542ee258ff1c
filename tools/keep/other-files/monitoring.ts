import { isMap, isSeq, parseDocument } from 'yaml';
import type { TextEditor } from './index.js';

/** Removes the alerts whose expression reads only metrics of the patterns. */
export const removeAlerts: TextEditor = (text, { words }) => {
  const document = parseDocument(text);
  const groups = document.get('groups');
  if (!isSeq(groups)) return text;
  for (const group of groups.items) {
    const rules = isMap(group) ? group.get('rules') : undefined;
    if (!isSeq(rules)) continue;
    rules.items = rules.items.filter((rule) => !isMap(rule) || !readsOnly(String(rule.get('expr')), words));
  }
  groups.items = groups.items.filter((group) => {
    const rules = isMap(group) ? group.get('rules') : undefined;
    return !isSeq(rules) || rules.items.length > 0;
  });
  const edited = document.toString({ lineWidth: 0 });
  return edited.length < parseDocument(text).toString({ lineWidth: 0 }).length ? edited : text;
};

interface Panel {
  targets?: { expr?: string }[];
  panels?: Panel[];
}

/** Removes the panels of a Grafana dashboard that show only metrics of the patterns. */
export const removePanels: TextEditor = (text, { words }) => {
  const dashboard = JSON.parse(text) as { panels: Panel[] };
  const isKept = ({ targets }: Panel) =>
    !targets?.length || !targets.every(({ expr }) => expr !== undefined && readsOnly(expr, words));
  const prune = (panels: Panel[]): Panel[] =>
    panels.filter(isKept).map((panel) => (panel.panels ? { ...panel, panels: prune(panel.panels) } : panel));
  const panels = prune(dashboard.panels);
  if (JSON.stringify(panels) === JSON.stringify(dashboard.panels)) return text;
  return `${JSON.stringify({ ...dashboard, panels }, null, 2)}\n`;
};

/** Whether all metrics in an expression carry one of the words, for example `shop_batches_open`. */
function readsOnly(expression: string, words: readonly string[]): boolean {
  const metrics = expression.match(/\b[a-z]+(?:_[a-z]+){2,}\b/g) ?? [];
  return metrics.length > 0 && metrics.every((metric) => metric.split('_').some((part) => words.includes(part)));
}
