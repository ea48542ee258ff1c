/** Which process calls which in a stack. Payment gateway and carrier are one process here. */
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

/** Maps a port on loopback to the port at which the caller of this link reaches it instead. */
export type PortMapper = (link: NetworkLink, port: number) => Promise<number>;

/** A direct connection on every link. */
export const directPort: PortMapper = async (_link, port) => port;

/**
 * Maps a URL, or `host:port`, to the address at which the caller of this link reaches it. The address must be on
 * loopback, unless the connection is direct.
 */
export async function mapAddress(throughLinks: PortMapper, link: NetworkLink, address: string): Promise<string> {
  if (throughLinks === directPort) return address;
  const hasScheme = address.includes('://');
  const url = new URL(hasScheme ? address : `tcp://${address}`);
  url.port = String(await throughLinks(link, Number(url.port)));
  // Keeps the original spelling: an empty path does not become a slash.
  const { href } = url;
  const asWritten = address.endsWith('/') ? href : href.replace(/\/$/, '');
  return hasScheme ? asWritten : asWritten.slice('tcp://'.length);
}
