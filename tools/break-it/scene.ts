import type { Schemas } from '../api-client/client.js';
import type { KillableProcess } from '../stack/kill-process.js';

/** The numbers of orders that a scene can place. */
export const ORDER_COUNTS = [5, 20, 50] as const;

/** A scene ends after this time, plus a second per order, even if orders are not final. */
const BASE_DEADLINE_MS = 120_000;

type Order = Schemas['Order'];
export type Product = Schemas['Product'];

/** What the partners have done for a set of orders. */
export interface Totals {
  /** Charged minus refunded, in minor units. */
  captured: number;
  /** Parcels that are not cancelled. */
  parcels: number;
}

export interface SceneOrder {
  orderId: string;
  /** Undefined until the API has accepted the order. */
  status?: Order['status'];
  stage?: Order['stage'];
}

/** A running or finished scene. */
export interface Scene {
  readonly kills: KillableProcess;
  /** All order ids of the scene start with this prefix. */
  readonly orderIdPrefix: string;
  readonly startedAt: number;
  readonly deadlineMs: number;
  readonly orders: readonly SceneOrder[];
  phase: 'reading' | 'placing' | 'waiting' | 'done' | 'failed';
  endedAt?: number;
  /** The products of each order, with the stock before the scene. */
  products: readonly Product[];
  lines: { sku: string; quantity: number }[];
  token: string;
  /** What the partners had done for all orders before the scene. */
  before?: Totals;
  /** The stock of the products, as the API last returned it. */
  stock: ReadonlyMap<string, number>;
  killedPid?: number;
  /** Why the scene failed. */
  failure?: string;
}

export const FINAL_STATUSES: readonly (string | undefined)[] = ['completed', 'rejected', 'cancelled', 'failed'];

export const isRunning = ({ phase }: Scene): boolean => phase !== 'done' && phase !== 'failed';
export const countFinal = ({ orders }: Scene): number =>
  orders.filter(({ status }) => FINAL_STATUSES.includes(status)).length;
export const countPlaced = ({ orders }: Scene): number => orders.filter(({ status }) => status !== undefined).length;

export function createScene(orderCount: number, kills: KillableProcess): Scene {
  const startedAt = Date.now();
  const time = new Date(startedAt).toISOString().slice(0, 19).replaceAll(/[-:]/g, '').replace('T', '-');
  const orderIdPrefix = `scene-${time}-`;
  return {
    kills,
    orderIdPrefix,
    startedAt,
    deadlineMs: BASE_DEADLINE_MS + orderCount * 1_000,
    orders: Array.from({ length: orderCount }, (_, index) => ({ orderId: `${orderIdPrefix}${index + 1}` })),
    phase: 'reading',
    products: [],
    lines: [],
    token: 'tok_ok',
    stock: new Map(),
  };
}
