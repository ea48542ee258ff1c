import type { LookupAddress } from 'node:dns';
import { lookup as lookupByNode } from 'node:dns/promises';
import { isIP, type LookupFunction } from 'node:net';
import { Client } from 'undici';
import { timeoutSignal } from '../async/timeout-signal.js';
import { isPublicAddress, normalizedHost, parseHostPattern, type HostMatcher } from './addresses.js';

export interface OutgoingHttpClientOptions {
  /**
   * Hosts that may be called. `*.example.com` allows every subdomain, and `host:port` allows only this port. An empty
   * list allows all hosts. The list never allows a private address.
   */
  allowedHosts: readonly string[];
  /**
   * Whether private, loopback, link-local and similar addresses may be called. Only for development and closed
   * networks.
   */
  allowPrivateAddresses: boolean;
  /** Resolves a host name to all of its addresses. Default: Node's resolver. */
  lookup?: (hostname: string) => Promise<LookupAddress[]>;
}

/** The HTTP client for all URLs that come from callers. It prevents server-side request forgery (SSRF). */
export interface OutgoingHttpClient {
  /**
   * Returns the reason why a URL must not be called, or `undefined` if the URL is allowed. Does not access the
   * network.
   */
  findUrlProblem(url: string): string | undefined;
  /**
   * Sends one POST. Does not follow a redirect, and returns its status. Discards the response body. `retryAfter` is the
   * value of this response header.
   *
   * @throws ForbiddenUrlError before it connects, when the URL has a problem or its host name has an address that is
   * not public. Each connection resolves and checks the host name, and then uses a checked address.
   *
   * @throws the signal's reason, or a `TimeoutError` after `timeoutMs`, which limits the whole call.
   */
  post(
    url: string,
    request: { headers: Record<string, string>; body: string; timeoutMs: number; signal?: AbortSignal },
  ): Promise<{ status: number; retryAfter?: string }>;
  /** Aborts running calls. Later calls fail. */
  close(): Promise<void>;
}

/**
 * Thrown when the URL must not be called. A retry cannot succeed. The message reveals nothing that the caller does not
 * know.
 */
export class ForbiddenUrlError extends Error {
  override readonly name = 'ForbiddenUrlError';
}

/** The client reads at most this much of a response body, so that connections with short responses close cleanly. */
const MAX_DRAINED_BYTES = 16_384;

/** @throws an Error that contains the invalid entry of `allowedHosts`. */
export function createOutgoingHttpClient({
  allowedHosts,
  allowPrivateAddresses,
  lookup = resolveAllAddresses,
}: OutgoingHttpClientOptions): OutgoingHttpClient {
  const allowedPatterns = allowedHosts.map(requireHostPattern);

  const checkedLookup: LookupFunction = (hostname, options, callback) => {
    lookup(hostname)
      .then((addresses) => {
        if (allowPrivateAddresses || addresses.every(({ address }) => isPublicAddress(address))) return addresses;
        throw new ForbiddenUrlError('the host name resolves to an address that is not public');
      })
      .then(
        (addresses) => {
          if (options.all) callback(null, addresses);
          else callback(null, addresses[0]?.address ?? '', addresses[0]?.family);
        },
        (error: Error) => callback(error, ''),
      );
  };
  const closing = new AbortController();

  function findUrlProblem(text: string): string | undefined {
    const url = parseUrl(text);
    if (!url || !['http:', 'https:'].includes(url.protocol)) return 'must be an http or https URL';
    if (url.username || url.password) return 'must not contain a user name or a password';
    const host = normalizedHost(url);
    const port = url.port || (url.protocol === 'https:' ? '443' : '80');
    if (allowedPatterns.length && !allowedPatterns.some((matches) => matches(host, port)))
      return 'must be on an allowed host';
    if (allowPrivateAddresses) return undefined;
    // An IP address in a URL is not resolved, so it must be checked here.
    if (isIP(host) ? !isPublicAddress(host) : /^(.+\.)?localhost$/.test(host)) return 'must be on a public address';
    return undefined;
  }

  return {
    findUrlProblem,
    async post(text, { headers, body, timeoutMs, signal = closing.signal }) {
      const problem = findUrlProblem(text);
      if (problem) throw new ForbiddenUrlError(`the URL ${problem}`);
      const { origin, pathname, search } = new URL(text);
      const callSignal = timeoutSignal(timeoutMs, signal, closing.signal);
      // Opens a new connection for each call, so that each call resolves and checks the host name. The connection also
      // gets the signal, because undici ignores the signal of a request until the connection is open.
      const client = new Client(origin, { connect: { lookup: checkedLookup, signal: callSignal } });
      try {
        const response = await client.request({
          method: 'POST',
          path: pathname + search,
          headers,
          body,
          signal: callSignal,
        });
        await response.body.dump({ limit: MAX_DRAINED_BYTES });
        const retryAfter = response.headers['retry-after'];
        return { status: response.statusCode, ...(typeof retryAfter === 'string' && { retryAfter }) };
      } catch (error) {
        throw callSignal.aborted ? callSignal.reason : error;
      } finally {
        await client.destroy();
      }
    },
    async close() {
      closing.abort(new Error('the HTTP client is closed'));
    },
  };
}

async function resolveAllAddresses(hostname: string): Promise<LookupAddress[]> {
  return await lookupByNode(hostname, { all: true });
}

function parseUrl(text: string): URL | undefined {
  return URL.canParse(text) ? new URL(text) : undefined;
}

function requireHostPattern(entry: string): HostMatcher {
  const matcher = parseHostPattern(entry);
  if (!matcher) throw new Error(`"${entry}" is not a host: write example.com, *.example.com or example.com:8443`);
  return matcher;
}
