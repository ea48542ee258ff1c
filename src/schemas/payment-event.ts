/** What a payment provider reports on its own. The shop uses events only to find differences, never to run an order. */
export interface PaymentEvent {
  /** An event id is recorded once. */
  eventId: string;
  /** `refunded` means the whole amount. */
  type: 'charged' | 'refunded' | 'dispute_opened' | 'dispute_closed';
  /** The id of the charge, as the port `PaymentGateway` returns it. */
  chargeId: string;
  /** Undefined for disputes, which name only the charge. */
  orderId?: string | undefined;
  /** Only for disputes. */
  disputeId?: string | undefined;
}
