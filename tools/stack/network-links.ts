/** The network links of a stack, as `caller to server`. Payment gateway and carrier are one process. */
export const NETWORK_LINKS = [
  'clients to API',
  'carrier to API',
  'API to Temporal',
  'API to PostgreSQL',
  'worker to Temporal',
  'worker to PostgreSQL',
  'worker to payments and carrier',
  'Temporal to PostgreSQL',
] as const;

export type NetworkLink = (typeof NETWORK_LINKS)[number];

/**
 * Returns the port that the caller of a link connects to instead of the given port, for example the port of a proxy.
 * Both ports are on loopback.
 */
export type PortMapper = (link: NetworkLink, port: number) => Promise<number>;

/** Connects every link directly. */
export const directPort: PortMapper = async (_link, port) => port;

/**
 * Replaces the port of an address (a URL or `host:port`) with the port that the caller of the link connects to. The
 * address must be on loopback, unless all links are direct.
 */
export async function mapAddress(throughLinks: PortMapper, link: NetworkLink, address: string): Promise<string> {
  if (throughLinks === directPort) return address;
  const hasScheme = address.includes('://');
  const url = new URL(hasScheme ? address : `tcp://${address}`);
  url.port = String(await throughLinks(link, Number(url.port)));
  // Removes the slash that `URL` adds to an empty path.
  const { href } = url;
  const asWritten = address.endsWith('/') ? href : href.replace(/\/$/, '');
  return hasScheme ? asWritten : asWritten.slice('tcp://'.length);
}
