/** Who calls whom in a stack. Payment gateway and carrier are one process here. */
export const LINKS = [
  'clients to API',
  'carrier to API',
  'API to Temporal',
  'API to PostgreSQL',
  'worker to Temporal',
  'worker to PostgreSQL',
  'worker to payments and carrier',
  'Temporal to PostgreSQL',
] as const;

export type Link = (typeof LINKS)[number];

/** Given a port on loopback, answers the one at which the caller of this link finds it instead. */
export type ThroughLinks = (link: Link, port: number) => Promise<number>;

/** No detour. */
export const straight: ThroughLinks = async (_link, port) => port;

/** The URL, or `host:port`, at which the caller finds what is at this one. It has to be on loopback, unless the way is straight. */
export async function addressThrough(throughLinks: ThroughLinks, link: Link, address: string): Promise<string> {
  if (throughLinks === straight) return address;
  const hasScheme = address.includes('://');
  const url = new URL(hasScheme ? address : `tcp://${address}`);
  url.port = String(await throughLinks(link, Number(url.port)));
  // As it was written: an empty path does not become a slash.
  const { href } = url;
  const asWritten = address.endsWith('/') ? href : href.replace(/\/$/, '');
  return hasScheme ? asWritten : asWritten.slice('tcp://'.length);
}
