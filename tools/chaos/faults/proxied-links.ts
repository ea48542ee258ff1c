import type { NetworkLink, PortMapper } from '../../stack/network-links.js';
import { startProxy, type FaultProxy } from './tcp-proxy.js';

/** The links of a shop, each with its own proxies: one for each process that is called. */
export class ProxiedLinks {
  readonly #proxies = new Map<NetworkLink, FaultProxy[]>();

  /** For `startStack` and `startTemporaryCluster`. */
  readonly mapPort: PortMapper = async (link, port) => {
    const proxy = await startProxy(port);
    this.#proxies.set(link, [...(this.#proxies.get(link) ?? []), proxy]);
    return proxy.port;
  };

  /** The links in use. */
  get names(): NetworkLink[] {
    return [...this.#proxies.keys()];
  }

  /** @throws when the shop has no such link, because a fault on it would have no effect. */
  proxiesOf(link: NetworkLink): readonly FaultProxy[] {
    const proxies = this.#proxies.get(link);
    if (!proxies) throw new Error(`this shop has no link ${link}`);
    return proxies;
  }

  async restoreAll(): Promise<void> {
    await Promise.all([...this.#proxies.values()].flat().map((proxy) => proxy.restore()));
  }

  async close(): Promise<void> {
    await Promise.all([...this.#proxies.values()].flat().map((proxy) => proxy.close()));
  }
}
