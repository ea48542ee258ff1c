import ipaddr from 'ipaddr.js';

/** Whether a host, without a port, is this machine. */
export function isLoopback(host: string): boolean {
  return /^(localhost|127(\.\d{1,3}){3}|\[?::1\]?)$/i.test(host);
}

/**
 * The allocated range of public IPv6 addresses. ipaddr.js classifies unknown addresses as unicast, such as
 * `::127.0.0.1`.
 */
const PUBLIC_IPV6_RANGE = ipaddr.parseCIDR('2000::/3');

/** Whether an address is public. IPv4 within IPv6 (mapped, 6to4, Teredo, NAT64) is not, whatever address is inside. */
export function isPublicAddress(address: string): boolean {
  const parsed = ipaddr.parse(address);
  return parsed.range() === 'unicast' && (parsed.kind() === 'ipv4' || parsed.match(PUBLIC_IPV6_RANGE));
}

/**
 * The host in the form that is compared: as the URL parser spells it, without the brackets of IPv6 and the trailing
 * dot.
 */
export function normalizedHost(url: URL): string {
  return url.hostname.replace(/^\[|\]$|\.+$/g, '');
}

/** Whether a normalized host and a port, as decimal digits, match a pattern. */
export type HostMatcher = (host: string, port: string) => boolean;

/**
 * Parses an entry of a list of hosts: `example.com` matches this host, `*.example.com` every host below it, and
 * `example.com:8443` one port of it. Undefined for an invalid entry.
 */
export function parseHostPattern(pattern: string): HostMatcher | undefined {
  const [, wildcard, name, port] = /^(\*\.)?([^*:/?#@\\[\]\s]+|\[[^\]]+\])(?::(\d+))?$/.exec(pattern) ?? [];
  const text = `http://${name}:${port ?? 80}`;
  if (name === undefined || !URL.canParse(text)) return undefined;
  const allowedHost = normalizedHost(new URL(text));
  return (host, hostPort) =>
    (wildcard ? host.endsWith(`.${allowedHost}`) : host === allowedHost) && (port === undefined || port === hostPort);
}
