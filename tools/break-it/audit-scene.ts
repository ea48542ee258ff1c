import { checkBalance, type PartnerRecords } from '../chaos/audit/balance.js';
import { FINAL_STATUSES, isRunning, type Scene, type SceneOrder, type Totals } from './scene.js';

/** One line of the comparison of a scene's ledger with what it must contain. */
export interface LedgerRow {
  name: string;
  unit: 'money' | 'pieces';
  before: number;
  /** When all orders are final. While orders are open: if all of them complete. */
  expected: number;
  actual: number;
}

export interface SceneAudit {
  rows: LedgerRow[];
  /** What is wrong, with the ids of the orders. Empty while orders are open. */
  differences: string[];
  /** Number of orders outside the scene that used a partner since the scene started. Their effects are not counted. */
  otherOrders: number;
}

type Records = Omit<PartnerRecords, 'requests'>;

/** Adds up what the partners have done, for the orders that match. */
export function readTotals(
  { charges, refunds, shipments }: Records,
  matches: (orderId: string) => boolean = () => true,
): Totals {
  const charged = charges.filter(({ orderId, status }) => matches(orderId) && status === 'succeeded');
  const refunded = refunds.filter(({ orderId }) => matches(orderId));
  return {
    captured:
      sum(charged.map(({ amount }) => amount.value)) -
      sum(refunded.map((refund) => ('amount' in refund ? refund.amount.value : 0))),
    parcels: shipments.filter(({ orderId, status }) => matches(orderId) && status !== 'cancelled').length,
  };
}

/**
 * Compares the ledger of the partners and the stock of the shop with what the orders of the scene must have caused. The
 * ledger of the partners is independent of the shop, so a lost or doubled effect shows as a difference.
 */
export function auditScene(scene: Scene, records: PartnerRecords): SceneAudit {
  const before = scene.before ?? { captured: 0, parcels: 0 };
  const ids = new Set(scene.orders.map(({ orderId }) => orderId));
  const actual = readTotals(records, (orderId) => ids.has(orderId));
  const counted = scene.orders.filter((order) => mustKeepEffects(order));
  const total = sum(scene.lines.map(({ sku, quantity }) => quantity * priceOf(scene, sku)));
  const others = recordsSince(scene, records);
  const rows: LedgerRow[] = [
    {
      name: 'Money captured by the payment gateway',
      unit: 'money',
      before: before.captured,
      expected: before.captured + counted.length * total,
      actual: before.captured + actual.captured,
    },
    ...scene.products.map(({ sku, available }): LedgerRow => {
      const quantity = scene.lines.find((line) => line.sku === sku)?.quantity ?? 0;
      const usedByOthers = sum(
        others.shipments.flatMap(({ lines }) => lines.filter((line) => line.sku === sku).map((line) => line.quantity)),
      );
      return {
        name: `Stock of ${sku}`,
        unit: 'pieces',
        before: available,
        expected: available - counted.length * quantity,
        actual: (scene.stock.get(sku) ?? available) + usedByOthers,
      };
    }),
    {
      name: 'Parcels of the carrier',
      unit: 'pieces',
      before: before.parcels,
      expected: before.parcels + counted.length,
      actual: before.parcels + actual.parcels,
    },
  ];
  const differences = isRunning(scene) ? [] : findDifferences(scene, rows, records);
  return { rows, differences, otherOrders: others.orderIds.size };
}

/** Whether the order is sold, or will be sold if it completes. */
const mustKeepEffects = ({ status }: SceneOrder): boolean => !FINAL_STATUSES.includes(status) || status === 'completed';

function findDifferences(scene: Scene, rows: LedgerRow[], records: PartnerRecords): string[] {
  if (!scene.before) return [];
  const perOrder = scene.orders.flatMap((order) => auditOrder(scene, order, records) ?? []);
  const perProduct = rows
    .filter(({ name, expected, actual }) => name.startsWith('Stock') && expected !== actual)
    .map(({ name, expected, actual }) => `${name} is ${actual}, expected ${expected}`);
  return [...perOrder, ...perProduct];
}

/** Checks the effects of one order with the auditor of the chaos runs. Returns what is wrong. */
function auditOrder(scene: Scene, { orderId, status, stage }: SceneOrder, records: PartnerRecords): string | undefined {
  const ofOrder = <R extends { orderId: string | null }>(rows: R[]) => rows.filter((row) => row.orderId === orderId);
  const isSold = status === 'completed';
  const held = new Map(scene.lines.map(({ sku, quantity }) => [sku, isSold ? quantity : 0]));
  if (!FINAL_STATUSES.includes(status)) return `${orderId}: not final (${stage ?? status ?? 'not accepted'})`;
  try {
    const { verdict } = checkBalance(
      { orderId, products: [...scene.products], lines: scene.lines, token: scene.token },
      {
        charges: ofOrder(records.charges),
        refunds: ofOrder(records.refunds),
        shipments: ofOrder(records.shipments),
        cancellations: ofOrder(records.cancellations),
        reports: ofOrder(records.reports),
        requests: ofOrder(records.requests),
      },
      held,
    );
    return verdict === (isSold ? 'sold' : 'rolled back') ? undefined : `${orderId}: is ${status}, but ${verdict}`;
  } catch (error) {
    // The records themselves follow the first colon. They are in the ledger.
    return `${orderId}: ${(error as Error).message.split(': [')[0]}`;
  }
}

/**
 * The shipments and the ids of orders outside the scene that first called a partner after the scene started. An order
 * that called a partner earlier had reserved its stock before the scene.
 */
function recordsSince(scene: Scene, { shipments, requests }: PartnerRecords) {
  const ids = new Set<string | null>(scene.orders.map(({ orderId }) => orderId));
  const orderIds = new Set<string>();
  for (const { at, orderId } of requests.toSorted((one, other) => Date.parse(one.at) - Date.parse(other.at))) {
    if (orderId === null || ids.has(orderId)) continue;
    if (Date.parse(at) < scene.startedAt) ids.add(orderId);
    else orderIds.add(orderId);
  }
  return { orderIds, shipments: shipments.filter(({ orderId }) => orderIds.has(orderId)) };
}

const priceOf = ({ products }: Scene, sku: string): number =>
  products.find((product) => product.sku === sku)?.price.value ?? 0;

const sum = (numbers: number[]): number => numbers.reduce((total, number) => total + number, 0);
