import html from 'html-template-tag';
import { TASK_QUEUES } from '../../../temporal/task-queues.js';
import { approvalIdOf } from '../../../workflows/approval/contract.js';
import { orderIdOf } from '../../../workflows/order/contract.js';
import { badgeHtml, formatCount, tableHtml, urlHtml, type Tone } from '../components.js';
import { CONSOLE_PATH } from '../contract.js';
import { PARTNERS, SAMPLED_WORKFLOWS, type Partner, type PartnerRetries } from './partners.js';
import type { ShopState } from './state.js';

/** A table of Temporal, the database, the workers and the partners. */
export const systemsHtml = (state: ShopState): string =>
  tableHtml('Workers and external systems', SYSTEM_COLUMNS, systemsOf(state), '');

/** Temporal lists the pollers of a killed worker for minutes. Until then, only waiting tasks show that no worker runs. */
const LONG_WAIT_SECONDS = 5;

interface System {
  name: string;
  state: string;
  tone: Tone;
  detailsHtml: string;
}

const SYSTEM_COLUMNS = [
  { title: 'System', cellHtml: ({ name }: System) => html`${name}` },
  { title: 'State', cellHtml: ({ state, tone }: System) => badgeHtml(state, tone) },
  { title: 'Details', cellHtml: ({ detailsHtml }: System) => detailsHtml },
];

function systemsOf({ store, unpolledQueues, backlogs, retries }: ShopState): System[] {
  const database = 'value' in store ? store.value : store.missing;
  return [
    'value' in unpolledQueues
      ? { name: 'Temporal', state: 'available', tone: 'good', detailsHtml: '' }
      : { name: 'Temporal', state: 'unavailable', tone: 'bad', detailsHtml: html`${unpolledQueues.missing}` },
    database === 'ok'
      ? { name: 'PostgreSQL', state: 'available', tone: 'good', detailsHtml: '' }
      : { name: 'PostgreSQL', state: 'unavailable', tone: 'bad', detailsHtml: html`${database}` },
    ...workerStates(unpolledQueues, backlogs),
    ...partnerStates(retries),
  ];
}

/** One row for each task queue that needs attention, and one row for all others. */
function workerStates(unpolled: ShopState['unpolledQueues'], backlogs: ShopState['backlogs']): System[] {
  if ('missing' in unpolled)
    return [{ name: 'Workers', state: 'unknown', tone: 'neutral', detailsHtml: html`${unpolled.missing}` }];
  const states = TASK_QUEUES.map((taskQueue) => {
    const isUnpolled = unpolled.value.includes(taskQueue);
    const waiting = ('value' in backlogs ? backlogs.value : []).filter(
      (backlog) => backlog.taskQueue === taskQueue && backlog.taskCount > 0,
    );
    const longestWait = Math.max(0, ...waiting.map(({ ageSeconds }) => ageSeconds));
    const details = [
      ...(isUnpolled ? [`no worker polls task queue ${taskQueue}`] : []),
      ...waiting.map(({ taskType, taskCount, ageSeconds }) => {
        const tasks = taskCount === 1 ? `${taskType} task waits` : `${taskType} tasks wait`;
        return `about ${formatCount(taskCount)} ${tasks}, the oldest for ${Math.round(ageSeconds)} s`;
      }),
    ].join('; ');
    return { taskQueue, details, ...workerState({ isUnpolled, longestWait }) };
  });
  const quiet = states.filter(({ details }) => details === '').map(({ taskQueue }) => taskQueue);
  return [
    ...states
      .filter(({ details }) => details !== '')
      .map(({ taskQueue, state, tone, details }) => ({
        name: `Workers of task queue ${taskQueue}`,
        state,
        tone,
        detailsHtml: html`${details}`,
      })),
    ...(quiet.length
      ? [
          {
            name: 'Workers',
            state: 'polling',
            tone: 'good' as const,
            detailsHtml: html`Task queues without a backlog: ${quiet.join(', ')}`,
          },
        ]
      : []),
  ];
}

function workerState({ isUnpolled, longestWait }: { isUnpolled: boolean; longestWait: number }): {
  state: string;
  tone: Tone;
} {
  if (isUnpolled) return { state: 'no worker', tone: 'bad' };
  if (longestWait <= LONG_WAIT_SECONDS) return { state: 'polling', tone: 'good' };
  return { state: `polling, but the oldest task has waited for ${Math.round(longestWait)} s`, tone: 'attention' };
}

function partnerStates(retries: ShopState['retries']): System[] {
  if ('missing' in retries)
    return [{ name: 'External systems', state: 'unknown', tone: 'neutral', detailsHtml: html`${retries.missing}` }];
  const sample = `the newest ${SAMPLED_WORKFLOWS} open orders and approvals`;
  const states = (Object.entries(retries.value) as [Partner, PartnerRetries][]).flatMap(
    ([name, { count, example }]) => {
      if (!example) return [];
      const { step, attempt, workflowId, lastFailure } = example;
      const failure = lastFailure?.message ? `: ${lastFailure.message}` : '';
      const calls = count === 1 ? '1 call is retried' : `${count} calls are retried`;
      const detailsHtml = html`${calls} in ${sample}, for example ${step} of $${workflowHtml(workflowId)} (attempt
      ${String(attempt)})${failure}`;
      return [{ name, state: 'retrying', tone: 'attention' as const, detailsHtml }];
    },
  );
  if (states.length) return states;
  const names = PARTNERS.join(', ');
  const detailsHtml = html`No call is retried in ${sample}: ${names}`;
  return [{ name: 'External systems', state: 'no retries', tone: 'good', detailsHtml }];
}

/** A link to the page of an order or an approval. */
function workflowHtml(workflowId: string): string {
  const isOrder = workflowId.startsWith('order:');
  const id = isOrder ? orderIdOf(workflowId) : approvalIdOf(workflowId);
  const path = `${CONSOLE_PATH}/${isOrder ? 'orders' : 'approvals'}/${encodeURIComponent(id)}`;
  return html`${isOrder ? 'order' : 'approval'} <a class="code" href="$${urlHtml(path)}">${id}</a>`;
}
