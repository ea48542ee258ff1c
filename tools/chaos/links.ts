import type { Link, ThroughLinks } from '../stack/links.js';
import { startProxy, type Proxy } from './proxy.js';

/** The links of a shop, each with its own proxies: one for each process that is called. */
export class ProxiedLinks {
  readonly #proxies = new Map<Link, Proxy[]>();

  /** For `startStack` and `startTemporaryCluster`. */
  readonly through: ThroughLinks = async (link, port) => {
    const proxy = await startProxy(port);
    this.#proxies.set(link, [...(this.#proxies.get(link) ?? []), proxy]);
    return proxy.port;
  };

  /** The links in use. */
  get names(): Link[] {
    return [...this.#proxies.keys()];
  }

  /** @throws when the shop has no such link, because a fault on it would have no effect. */
  of(link: Link): readonly Proxy[] {
    const proxies = this.#proxies.get(link);
    if (!proxies) throw new Error(`nothing goes from ${link} here`);
    return proxies;
  }

  async restore(): Promise<void> {
    await Promise.all([...this.#proxies.values()].flat().map((proxy) => proxy.restore()));
  }

  async close(): Promise<void> {
    await Promise.all([...this.#proxies.values()].flat().map((proxy) => proxy.close()));
  }
}
