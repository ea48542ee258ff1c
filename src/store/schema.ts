import type { Generated } from 'kysely';

/** The tables as the migrations leave them. */
export interface Schema {
  products: ProductsTable;
  reservations: ReservationsTable;
  reservation_lines: ReservationLinesTable;
  notifications: NotificationsTable;
}

interface ProductsTable {
  sku: string;
  name: string;
  /** Minor units. */
  price_value: number;
  price_currency: string;
  /** Pieces that can still be sold; reserved ones are already taken off. */
  stock: number;
}

interface ReservationsTable {
  order_id: string;
  owner: string;
  status: 'reserved' | 'released';
  created_at: Generated<Date>;
}

interface ReservationLinesTable {
  order_id: string;
  sku: string;
  quantity: number;
}

interface NotificationsTable {
  key: string;
  cart_id: string;
  kind: string;
  created_at: Generated<Date>;
}
