import html from 'html-template-tag';
import { badgeHtml, noticeHtml, queryString, tableHtml, urlHtml } from '../../src/api/console/components.js';
import { formatMoney } from '../../src/schemas/shared/money.js';
import { PROCESS_LABELS } from '../stack/kill-process.js';
import type { LedgerRow, SceneAudit } from './audit-scene.js';
import { countFinal, countPlaced, FINAL_STATUSES, isRunning, type Scene } from './scene.js';

/** The progress of a scene, and its ledger compared with what the orders must have caused. */
export function sceneHtml({ scene, audit }: { scene: Scene; audit: SceneAudit }, apiUrl: string | undefined): string {
  const { orders, failure, phase } = scene;
  return html`<section class="card" aria-labelledby="scene" data-phase="${phase}">
    <h3 id="scene">${titleOf(scene)}</h3>
    <label
      >${String(countPlaced(scene))} of ${String(orders.length)} orders placed, ${String(countFinal(scene))} final
      <progress max="${String(orders.length)}" value="${String(countFinal(scene))}"></progress
    ></label>
    $${ordersHtml(scene, apiUrl)}
    $${failure === undefined ? '' : noticeHtml('bad', html`<p>${failure}</p>`, { alert: true })}
    $${scene.before ? ledgerHtml(scene, audit) : ''}
  </section>`;
}

/** The stages of the open orders, and a link to all orders of the scene in the console. */
function ordersHtml({ orders, orderIdPrefix }: Scene, apiUrl: string | undefined): string {
  const counts = new Map<string, number>();
  for (const { stage, status } of orders)
    if (stage !== undefined && !FINAL_STATUSES.includes(status)) counts.set(stage, (counts.get(stage) ?? 0) + 1);
  const stages = [...counts].map(([stage, count]) => `${count} ${stage.replaceAll('_', ' ')}`);
  const url = `${apiUrl}/console/orders${queryString({ orderIdPrefix })}`;
  const link = apiUrl === undefined ? '' : html`<a href="$${urlHtml(url)}">Show the orders in the console</a>`;
  return html`<p>${stages.length ? `Open orders: ${stages.join(', ')}.` : ''} $${link}</p>`;
}

function titleOf(scene: Scene): string {
  const seconds = Math.round(((scene.endedAt ?? Date.now()) - scene.startedAt) / 1_000);
  const what = `${scene.orders.length} orders, and SIGKILL of ${PROCESS_LABELS[scene.kills]}`;
  switch (scene.phase) {
    case 'reading':
      return `${what}: reading the ledger`;
    case 'placing':
      return `${what}: placing the orders, ${seconds} s`;
    case 'waiting':
      return `${what}: waiting until all orders are final, ${seconds} s`;
    case 'done':
      return `${what}: all orders final after ${seconds} s`;
    case 'failed':
      return `${what}: ended after ${seconds} s`;
  }
}

function ledgerHtml(scene: Scene, { rows, differences, otherOrders }: SceneAudit): string {
  const { price } = scene.products[0]!;
  const format = ({ unit }: LedgerRow, value: number) =>
    unit === 'money' ? formatMoney({ ...price, value }) : value.toLocaleString('en');
  const columns = [
    { title: 'Ledger', cellHtml: ({ name }: LedgerRow) => html`${name}` },
    { title: 'Before', isNumber: true, cellHtml: (row: LedgerRow) => html`${format(row, row.before)}` },
    { title: 'Expected', isNumber: true, cellHtml: (row: LedgerRow) => html`${format(row, row.expected)}` },
    { title: 'Actual', isNumber: true, cellHtml: (row: LedgerRow) => html`${format(row, row.actual)}` },
    { title: 'Result', cellHtml: (row: LedgerRow) => resultHtml(row, scene) },
  ];
  return html`$${tableHtml('Ledger before and after', columns, rows, '')}
  $${
    otherOrders
      ? html`<p class="quiet">
          Not counted: ${String(otherOrders)} other orders that called a partner at the same time.
        </p>`
      : ''
  }
  $${isRunning(scene) ? '' : verdictHtml(scene, differences)}`;
}

function resultHtml({ expected, actual }: LedgerRow, scene: Scene): string {
  if (expected === actual) return badgeHtml('equal', 'good');
  return isRunning(scene) ? badgeHtml('in progress', 'active') : badgeHtml('differs', 'bad');
}

function verdictHtml({ orders, phase }: Scene, differences: string[]): string {
  if (differences.length === 0 && phase === 'done')
    return noticeHtml(
      'good',
      html`<p>
        <strong>Nothing was lost or doubled.</strong> Money, stock and parcels match ${String(orders.length)} orders.
      </p>`,
    );
  const items = differences.map((difference) => html`<li>${difference}</li>`).join('');
  return noticeHtml(
    'bad',
    html`<p><strong>The ledger differs from what the orders must have caused:</strong></p>
      <ul>
        $${items}
      </ul>`,
    { alert: true },
  );
}
