import type { FastifyRequest } from 'fastify';
import { Webhook } from 'standardwebhooks';
import { readSignedBody } from '../../../src/api/callbacks/signed-body.js';
import { HttpProblem } from '../../../src/api/problems/http-problem.js';
import { shipmentCallback } from '../../../src/schemas/callbacks.js';
import { shipmentStatus } from '../../../src/schemas/order.js';
import { Parcel } from '../../../src/workflows/order/parcel.js';
import type { SignedReport } from './partner.js';

/**
 * Receives reports like the shop: verifies them like the API and applies them like the workflow of the order. Needs no
 * server, because it calls their functions directly.
 */
export class ReportReceiver {
  readonly parcel = new Parcel();
  readonly #webhooks: Webhook[];

  constructor(secrets: readonly string[], shipmentId: string) {
    this.#webhooks = secrets.map((secret) => new Webhook(secret));
    this.parcel.setShipmentId(shipmentId);
  }

  /** @returns what the report did. */
  receive({ headers, body }: SignedReport): 'rejected' | 'unknown status' | 'changed the status' | 'no effect' {
    try {
      const request = { headers, body: Buffer.from(body) } as unknown as FastifyRequest;
      const { status, ...report } = readSignedBody(this.#webhooks, shipmentCallback, request);
      const known = shipmentStatus.safeParse(status);
      if (!known.success) return 'unknown status';
      return this.parcel.applyReport({ ...report, status: known.data }) ? 'changed the status' : 'no effect';
    } catch (error) {
      if (error instanceof HttpProblem) return 'rejected';
      throw error;
    }
  }
}
