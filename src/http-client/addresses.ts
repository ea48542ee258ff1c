import ipaddr from 'ipaddr.js';

/** Whether a host is this machine. `host` has no port. */
export function isLoopback(host: string): boolean {
  return /^(localhost|127(\.\d{1,3}){3}|\[?::1\]?)$/i.test(host);
}

/**
 * The allocated range of public IPv6 addresses. Checked in addition to ipaddr.js, which classifies unknown addresses
 * such as `::127.0.0.1` as unicast.
 */
const PUBLIC_IPV6_RANGE = ipaddr.parseCIDR('2000::/3');

/**
 * Whether an address is public. An IPv6 address that contains an IPv4 address (mapped, 6to4, Teredo, NAT64) is never
 * public.
 */
export function isPublicAddress(address: string): boolean {
  const parsed = ipaddr.parse(address);
  return parsed.range() === 'unicast' && (parsed.kind() === 'ipv4' || parsed.match(PUBLIC_IPV6_RANGE));
}

/**
 * Returns the host for comparisons: as the URL parser writes it, without the brackets of IPv6 and without a trailing
 * dot.
 */
export function normalizedHost(url: URL): string {
  return url.hostname.replace(/^\[|\]$|\.+$/g, '');
}

/** Whether a normalized host and a port match a pattern. The port consists of decimal digits. */
export type HostMatcher = (host: string, port: string) => boolean;

/**
 * Parses an entry of a list of hosts. `example.com` matches this host, `*.example.com` matches every subdomain, and
 * `example.com:8443` matches one port of the host. Returns undefined for an invalid entry.
 */
export function parseHostPattern(pattern: string): HostMatcher | undefined {
  const [, wildcard, name, port] = /^(\*\.)?([^*:/?#@\\[\]\s]+|\[[^\]]+\])(?::(\d+))?$/.exec(pattern) ?? [];
  const text = `http://${name}:${port ?? 80}`;
  if (name === undefined || !URL.canParse(text)) return undefined;
  const allowedHost = normalizedHost(new URL(text));
  return (host, hostPort) =>
    (wildcard ? host.endsWith(`.${allowedHost}`) : host === allowedHost) && (port === undefined || port === hostPort);
}
