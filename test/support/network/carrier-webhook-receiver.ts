import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { isGrpcServiceError, WorkflowNotFoundError, type Client } from '@temporalio/client';
import type { ShipmentReport } from '../../../src/schemas/order.js';
import { orderWorkflowId, shipmentReportedSignal } from '../../../src/workflows/order/contract.js';

/** Receives the webhooks of the carrier and sends each report to its workflow as a signal, like the API. */
export interface CarrierWebhookReceiver {
  url: string;
  /** Returns 503 for reports on this order, so that the carrier retries them later. */
  rejectReports: (orderId: string) => void;
  acceptReports: (orderId: string) => void;
  close: () => Promise<void>;
}

export async function startCarrierWebhookReceiver(client: Client): Promise<CarrierWebhookReceiver> {
  const shut = new Set<string>();

  async function deliver(body: string): Promise<number> {
    const report = JSON.parse(body) as ShipmentReport;
    if (shut.has(report.orderId)) return 503;
    try {
      await client.workflow.getHandle(orderWorkflowId(report.orderId)).signal(shipmentReportedSignal, report);
      return 202;
    } catch (error) {
      if (error instanceof WorkflowNotFoundError) return 200;
      return isGrpcServiceError(error) ? 503 : 500;
    }
  }

  const server = createServer((request, response) => {
    void text(request)
      .then(deliver)
      .then((status) => response.writeHead(status).end());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/callbacks/shipments`,
    rejectReports: (orderId) => shut.add(orderId),
    acceptReports: (orderId) => shut.delete(orderId),
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
