import { CONSOLE_PATH } from '../contract.js';
import type { Caller } from '../../http/caller.js';

// Paths relative to the console.
export const SIGN_IN_PATH = '/sign-in';
export const SIGN_OUT_PATH = '/sign-out';
export const ACCOUNT_PATH = '/account';

// Paths relative to the sign-in page.
export const PROVIDER_PATH = '/provider';
export const CALLBACK_PATH = '/callback';

/** Roles with a home page. Callers without them start on the page of their account. */
const HOME_ROLES = new Set(['operator', 'shopper', 'approver']);

/** The first page after a sign-in. */
export const startPathOf = ({ roles }: Caller): string =>
  roles.some((role) => HOME_ROLES.has(role)) ? '' : ACCOUNT_PATH;

const MAX_LENGTH = 2_000;

/**
 * Returns the page to which a sign-in leads, relative to the console, from the parameter `next` of a query or form.
 * Undefined if `next` is not a path of the console.
 */
export function readNextPath(input: unknown): string | undefined {
  const { next } = (input ?? {}) as { next?: unknown };
  if (typeof next !== 'string' || next.length > MAX_LENGTH || !next.startsWith(CONSOLE_PATH)) return undefined;
  const path = next.slice(CONSOLE_PATH.length);
  return /^([/?][\x21-\x7e]*)?$/.test(path) ? path : undefined;
}

/** The URL of the sign-in page, which leads to the path `next` after the sign-in. */
export const signInUrl = (next: string | undefined): string =>
  CONSOLE_PATH + SIGN_IN_PATH + (next === undefined ? '' : `?next=${encodeURIComponent(next)}`);
