import type { FastifyRequest } from 'fastify';
import { isLoopback } from '../../http-client/addresses.js';
import { forbidden } from '../problems/http-problem.js';

/** Whether the `Host` header of a request names this machine. */
export const isToLocalHost = ({ headers: { host = '' } }: Pick<FastifyRequest, 'headers'>): boolean =>
  isLoopback(host.replace(/:\d+$/, ''));

/** The origin of the API in the browser. Proxies that add TLS must not change the `Host` header. */
export const originOf = (request: FastifyRequest): string =>
  `${isToLocalHost(request) ? 'http' : 'https'}://${request.headers.host ?? ''}`;

const isLocalOrigin = (origin: string) => URL.canParse(origin) && isLoopback(new URL(origin).hostname);

/**
 * Denies requests of foreign web pages. An API without authentication listens only on loopback. Without this check, a
 * web page in a local browser could still call the API by its address or through DNS rebinding.
 *
 * @throws 403.
 */
export function assertLocalRequest(request: FastifyRequest): void {
  const { host, origin } = request.headers;
  // Routes of approval links accept any origin. The approval page has the referrer policy `no-referrer`, so browsers
  // send its form with `Origin: null`.
  const isLink = request.routeOptions.config.contract?.access === 'link';
  const isForeign = origin !== undefined && !isLink && !isLocalOrigin(origin);
  if (isForeign || (host !== undefined && !isToLocalHost(request))) {
    throw forbidden('without API_KEYS or JWT_ISSUER, this API accepts only requests to localhost');
  }
}

/**
 * Checks that a form comes from the page of this API. Browsers send `Sec-Fetch-Site`, except over plain HTTP to another
 * machine. If the header is missing, compares `Origin` with `Host`.
 *
 * @throws 403.
 */
export function assertFromOwnPage({ headers: { 'sec-fetch-site': site, origin = '', host } }: FastifyRequest): void {
  const isOurs = site !== undefined ? site === 'same-origin' : URL.canParse(origin) && new URL(origin).host === host;
  if (!isOurs) throw forbidden('the form must be submitted from the page of this API');
}
