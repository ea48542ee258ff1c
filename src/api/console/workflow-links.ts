import html from 'html-template-tag';
import type { AppDependencies } from '../dependencies.js';
import { ANONYMOUS, restrictedIdOf, type Caller } from '../http/caller.js';
import { urlHtml } from './components.js';

interface LinkedWorkflow {
  workflowId: string;
  /** Without it, the Web UI opens the newest run. */
  runId?: string | undefined;
  /** The path of the resource in the API. */
  apiPath: string;
}

/** For operators, links to a workflow in the configured tools. */
export function otherToolsHtml(
  { client, links: { temporalUi, traces, logs } }: Pick<AppDependencies, 'client' | 'links'>,
  caller: Caller,
  { workflowId, runId, apiPath }: LinkedWorkflow,
): string {
  if (restrictedIdOf(caller) !== undefined) return '';
  const workflows = `${temporalUi}/namespaces/${encodeURIComponent(client.options.namespace)}/workflows`;
  const workflowPath = [workflowId, ...(runId === undefined ? [] : [runId, 'history'])].map(encodeURIComponent);
  const urls: [title: string, url: string | undefined][] = [
    ['Workflow in the Temporal Web UI', temporalUi && [workflows, ...workflowPath].join('/')],
    ['Traces', fill(traces, workflowId)],
    ['Log lines', fill(logs, workflowId)],
    // With authentication, the API needs a key or a token, which a link cannot send.
    ['API response (JSON)', caller === ANONYMOUS ? apiPath : undefined],
  ];
  const items = urls.flatMap(([title, url]) =>
    url === undefined ? [] : [html`<li><a href="$${urlHtml(url)}">${title}</a></li>`],
  );
  const list =
    items.length === 0
      ? ''
      : html`<ul class="links">
          $${items.join('')}
        </ul>`;
  const hints = [...(traces ? [] : [traceHint(workflowId)]), ...(logs ? [] : [logHint(workflowId)])];
  return html`<h2>In other tools</h2>
    $${list} $${hints.join('')}`;
}

/** How to find the traces of the workflow without a link. A workflow can have several traces, one for each request. */
const traceHint = (workflowId: string) =>
  html`<p class="quiet">
    Traces: search your tracing tool for the attribute <code>temporalWorkflowId=${workflowId}</code>. The processes send
    traces if <code>OTEL_EXPORTER_OTLP_ENDPOINT</code> is set. With <code>TRACE_URL</code>, this page has a link
    instead.
  </p>`;

/** Lines of the API have the id of the order only in paths, so the hint searches for the id without the type. */
const logHint = (workflowId: string) =>
  html`<p class="quiet">
    Log lines of <code>npm start</code>:
    <code>grep -h '${workflowId.slice(workflowId.indexOf(':') + 1)}' .data/logs/*.log</code>. With
    <code>LOGS_URL</code>, this page has a link instead.
  </p>`;

const fill = (template: string | undefined, workflowId: string): string | undefined =>
  template?.replaceAll('{workflowId}', encodeURIComponent(workflowId));
