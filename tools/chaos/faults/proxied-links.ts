import type { NetworkLink, PortMapper } from '../../stack/network-links.js';
import { startProxy, type FaultProxy } from './tcp-proxy.js';

/** The network links of a shop. Each link has one proxy for each process to which it leads. */
export class ProxiedLinks {
  readonly #proxies = new Map<NetworkLink, FaultProxy[]>();

  /** Starts a proxy in front of the port. An option for `startStack`. */
  readonly mapPort: PortMapper = async (link, port) => {
    const proxy = await startProxy(port);
    this.#proxies.set(link, [...(this.#proxies.get(link) ?? []), proxy]);
    return proxy.port;
  };

  /** The links that have proxies. */
  get names(): NetworkLink[] {
    return [...this.#proxies.keys()];
  }

  /** @throws when the shop does not have this link. Otherwise a fault on it would silently have no effect. */
  proxiesOf(link: NetworkLink): readonly FaultProxy[] {
    const proxies = this.#proxies.get(link);
    if (!proxies) throw new Error(`the shop has no network link ${link}`);
    return proxies;
  }

  async restoreAll(): Promise<void> {
    await Promise.all([...this.#proxies.values()].flat().map((proxy) => proxy.restore()));
  }

  async close(): Promise<void> {
    await Promise.all([...this.#proxies.values()].flat().map((proxy) => proxy.close()));
  }
}
