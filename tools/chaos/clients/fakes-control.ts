import type { ClientSession } from './client-session.js';

/** Calls the test interface of the fakes. @throws when the call fails. */
export async function callTestInterface(
  { webhookSinkUrl }: ClientSession['endpoints'],
  method: string,
  path: string,
  body?: unknown,
): Promise<Response> {
  const response = await fetch(new URL(path, webhookSinkUrl), {
    method,
    ...(body !== undefined && { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
  });
  if (!response.ok) throw new Error(`${method} ${path} returned ${response.status}`);
  return response;
}

/** Sets when the fake carrier moves the parcel of an order. The order may not exist yet. */
export async function scheduleParcel(
  session: ClientSession,
  orderId: string,
  schedule: { autoDeliver: boolean; pickupSeconds?: number; deliverySeconds?: number },
): Promise<void> {
  await retryUntilDone(session, () =>
    callTestInterface(session.endpoints, 'PUT', '/test/carrier', { orderId, ...schedule }),
  );
}

/** Makes the fake carrier move the parcel of an order and report the new status. */
export async function moveParcel(session: ClientSession, orderId: string, status: string): Promise<void> {
  await retryUntilDone(session, () =>
    callTestInterface(session.endpoints, 'POST', `/test/shipments/${orderId}`, { status }),
  );
}

/** Repeats a call until it succeeds or the session ends. @returns undefined when the session ended first. */
export async function retryUntilDone<T>(
  { http, stopSignal }: ClientSession,
  call: () => Promise<T>,
): Promise<T | undefined> {
  while (!stopSignal.aborted) {
    try {
      return await call();
    } catch {
      await http.pause(500);
    }
  }
  return undefined;
}
