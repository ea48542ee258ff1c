import type { LookupAddress } from 'node:dns';
import { lookup as lookupByNode } from 'node:dns/promises';
import { isIP, type LookupFunction } from 'node:net';
import ipaddr from 'ipaddr.js';
import { Client } from 'undici';
import { timeLimit } from './time-limit.js';

export interface OutgoingOptions {
  /**
   * Hosts that may be called; `*.example.com` covers every host below it, `host:port` limits the port. Empty: any host.
   * It narrows what may be called and never opens what is private.
   */
  allowedHosts: readonly string[];
  /** Whether private, loopback, link-local … addresses may be called: for development and closed networks only. */
  allowPrivate: boolean;
  /** All addresses of a name; as Node resolves it unless told. */
  lookup?: (hostname: string) => Promise<LookupAddress[]>;
}

/** The one way by which URLs that came from outside are called: the guard against server-side request forgery. */
export interface Outgoing {
  /** Why a URL may not be called, as far as it can be told without the network; `undefined` when it may. */
  problemWith(url: string): string | undefined;
  /**
   * POSTs once. A redirect is not followed, its status is the answer; the answer's body is discarded. `retryAfter` is the
   * header of that name.
   *
   * @throws OutgoingRefused before anything is connected when the URL has a problem, or when its name has an address
   * that is not public: names are resolved and checked for each connection, which then goes to a checked address.
   * @throws the signal's reason, or a `TimeoutError` after `timeoutMs`, which covers all of the call.
   */
  post(
    url: string,
    request: { headers: Record<string, string>; body: string; timeoutMs: number; signal?: AbortSignal },
  ): Promise<{ status: number; retryAfter?: string }>;
  /** Ends what is under way; calls after it fail. */
  close(): Promise<void>;
}

/** Forbidden to be called: final, never to be tried again. The message tells nothing that its caller did not know. */
export class OutgoingRefused extends Error {
  override readonly name = 'OutgoingRefused';
}

/** Of an answer's body this much is read, so that short ones end in peace. */
const MAX_BODY_BYTES = 16_384;

/** All of IPv6 that is handed out. ipaddr.js takes what it does not know for unicast, such as `::127.0.0.1`. */
const GLOBAL_IPV6 = ipaddr.parseCIDR('2000::/3');

/** @throws an Error that names the entry of `allowedHosts` that is none. */
export function createOutgoing({ allowedHosts, allowPrivate, lookup = lookupAll }: OutgoingOptions): Outgoing {
  const allowed = allowedHosts.map(parseAllowed);

  const checkedLookup: LookupFunction = (hostname, options, callback) => {
    lookup(hostname)
      .then((addresses) => {
        if (allowPrivate || addresses.every(({ address }) => isPublic(address))) return addresses;
        throw new OutgoingRefused('the name of the host leads to an address that is not public');
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

  function problemWith(text: string): string | undefined {
    const url = parseUrl(text);
    if (!url || !['http:', 'https:'].includes(url.protocol)) return 'must be an http or https URL';
    if (url.username || url.password) return 'must not carry a user name or a password';
    const host = hostOf(url);
    const port = url.port || (url.protocol === 'https:' ? '443' : '80');
    if (allowed.length && !allowed.some((matches) => matches(host, port)))
      return 'must be on a host that may be called';
    if (allowPrivate) return undefined;
    // A literal address is never looked up, so this is its only check.
    if (isIP(host) ? !isPublic(host) : /^(.+\.)?localhost$/.test(host)) return 'must be on a public address';
    return undefined;
  }

  return {
    problemWith,
    async post(text, { headers, body, timeoutMs, signal = closing.signal }) {
      const problem = problemWith(text);
      if (problem) throw new OutgoingRefused(`the URL ${problem}`);
      const { origin, pathname, search } = new URL(text);
      const end = timeLimit(timeoutMs, signal, closing.signal);
      // A connection for each call, so that each resolves and checks anew. Its signal is told apart from the request's,
      // which undici does not heed before there is a connection.
      const client = new Client(origin, { connect: { lookup: checkedLookup, signal: end } });
      try {
        const answer = await client.request({ method: 'POST', path: pathname + search, headers, body, signal: end });
        await answer.body.dump({ limit: MAX_BODY_BYTES });
        const retryAfter = answer.headers['retry-after'];
        return { status: answer.statusCode, ...(typeof retryAfter === 'string' && { retryAfter }) };
      } catch (error) {
        throw end.aborted ? end.reason : error;
      } finally {
        await client.destroy();
      }
    },
    async close() {
      closing.abort(new Error('calls are stopped'));
    },
  };
}

async function lookupAll(hostname: string): Promise<LookupAddress[]> {
  return await lookupByNode(hostname, { all: true });
}

/** Also refuses IPv4 in the clothes of IPv6 (mapped, 6to4, Teredo, NAT64), whatever address is inside. */
function isPublic(address: string): boolean {
  const parsed = ipaddr.parse(address);
  return parsed.range() === 'unicast' && (parsed.kind() === 'ipv4' || parsed.match(GLOBAL_IPV6));
}

function parseUrl(text: string): URL | undefined {
  return URL.canParse(text) ? new URL(text) : undefined;
}

/** The host as it is compared: spelled by the URL parser, without the brackets of IPv6 and the dot of the root. */
function hostOf(url: URL): string {
  return url.hostname.replace(/^\[|\]$|\.+$/g, '');
}

function parseAllowed(entry: string): (host: string, port: string) => boolean {
  const [, wildcard, name, port] = /^(\*\.)?([^*:/?#@\\[\]]+|\[[^\]]+\])(?::(\d+))?$/.exec(entry) ?? [];
  const url = name === undefined ? undefined : parseUrl(`http://${name}`);
  if (!url) throw new Error(`"${entry}" is not a host: write example.com, *.example.com or example.com:8443`);
  const allowed = hostOf(url);
  return (host, of) =>
    (wildcard ? host.endsWith(`.${allowed}`) : host === allowed) && (port === undefined || port === of);
}
