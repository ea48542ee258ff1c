import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text as readText } from 'node:stream/consumers';
import { Webhook } from 'standardwebhooks';

/** How an approval ended: `approved`, `rejected`, `timed_out` or `withdrawn`. */
export interface ApprovalOutcome {
  status: string;
  comment?: string | undefined;
}

interface ApprovalView {
  approvalId: string;
  status: string;
  decision?: { comment?: string };
}

interface ApprovalRequest {
  approvalId: string;
  title: string;
  description: string;
  requestedBy: string;
  stages: { approvers: { id: string }[]; timeoutSeconds: number }[];
}

/**
 * Requests approvals over HTTP, and receives their outcomes as signed webhooks.
 *
 * @param webhookSecret the OUTGOING_WEBHOOK_SECRET of the workers.
 */
export async function startApprovalClient({ apiUrl, webhookSecret }: { apiUrl: string; webhookSecret: string }) {
  const webhook = new Webhook(webhookSecret);
  const waiting = new Map<string, (outcome: ApprovalOutcome) => void>();

  const server = createServer((request, response) => {
    void readText(request).then((body) => {
      try {
        const { data } = webhook.verify(body, request.headers as Record<string, string>) as { data: ApprovalView };
        waiting.get(data.approvalId)?.(toOutcome(data));
        response.writeHead(204).end();
      } catch {
        response.writeHead(401).end();
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const callbackUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

  /** Calls the API. @throws an Error with the problem. */
  async function call(method: 'GET' | 'POST', path: string, body?: unknown): Promise<ApprovalView> {
    const response = await fetch(`${apiUrl}${path}`, {
      method,
      headers: { 'content-type': 'application/json' },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
    return (await response.json()) as ApprovalView;
  }

  return {
    /**
     * Requests an approval, and waits for its outcome. A repeated request with the same content finds the existing
     * approval, so an agent that was restarted waits for the same decision.
     */
    async request(approval: ApprovalRequest): Promise<ApprovalOutcome> {
      const { approvalId } = approval;
      // Registers first, because the outcome can arrive before the response.
      const reported = new Promise<ApprovalOutcome>((resolve) => waiting.set(approvalId, resolve));
      const { status } = await call('POST', '/v1/approvals', { ...approval, callbackUrl });
      if (status !== 'pending') return toOutcome(await call('GET', `/v1/approvals/${approvalId}`));
      return await reported;
    },
    close: () => closeServer(server),
  };
}

const toOutcome = ({ status, decision }: ApprovalView): ApprovalOutcome => ({ status, comment: decision?.comment });

async function closeServer(server: Server): Promise<void> {
  server.closeAllConnections();
  await new Promise<void>((resolve) => server.close(() => resolve()));
}
