import type { Visit } from './visit.js';

/** Calls the test interface of the fake partners. */
export async function partner(
  { answersUrl }: Visit['outside'],
  method: string,
  path: string,
  body?: unknown,
): Promise<Response> {
  return await fetch(new URL(path, answersUrl), {
    method,
    ...(body !== undefined && { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
  });
}

/** Repeats a call until it succeeds or the visit ends. @returns undefined when the visit ended first. */
export async function untilDone<T>({ caller, left }: Visit, call: () => Promise<T>): Promise<T | undefined> {
  while (!left.aborted) {
    try {
      return await call();
    } catch {
      await caller.rest(500);
    }
  }
  return undefined;
}
