import type { Link, ThroughLinks } from '../links.js';
import { startProxy, type Proxy } from './proxy.js';

/** The links of a shop, each through proxies of its own: as many as there are processes to be called. */
export class ProxiedLinks {
  readonly #proxies = new Map<Link, Proxy[]>();

  /** For `startStack` and `startTemporaryCluster`. */
  readonly through: ThroughLinks = async (link, port) => {
    const proxy = await startProxy(port);
    this.#proxies.set(link, [...(this.#proxies.get(link) ?? []), proxy]);
    return proxy.port;
  };

  /** Those that somebody asked for. */
  get names(): Link[] {
    return [...this.#proxies.keys()];
  }

  /** @throws when there is no such link: what is done to it would do nothing. */
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
