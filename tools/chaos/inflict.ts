import { setTimeout as delay } from 'node:timers/promises';
import type { FragileShop } from './shop.js';
import type { Fault } from './plan.js';

/**
 * Injects a fault; ends it again if it is a lasting one.
 *
 * @returns performance.now() at the moment from which the shop can recover: the kill or cut, or the end of a lasting
 * fault.
 */
export async function inflict(fault: Fault, { parts, links }: FragileShop, signal?: AbortSignal): Promise<number> {
  switch (fault.kind) {
    case 'kill': {
      const { process } = parts[fault.part];
      process.kill('SIGKILL');
      const diedAt = performance.now();
      await process.exited;
      return diedAt;
    }
    case 'freeze': {
      const { process } = parts[fault.part];
      process.kill('SIGSTOP');
      try {
        await delay(fault.forMs, undefined, { signal });
      } finally {
        process.kill('SIGCONT');
      }
      return performance.now();
    }
    case 'cut':
      for (const proxy of links.of(fault.link)) proxy.cut();
      return performance.now();
    case 'refuse':
    case 'delay':
    case 'swallow': {
      const proxies = links.of(fault.link);
      try {
        for (const proxy of proxies) {
          if (fault.kind === 'refuse') await proxy.refuse();
          else if (fault.kind === 'swallow') proxy.swallow();
          else proxy.delay(fault.lag);
        }
        await delay(fault.forMs, undefined, { signal });
      } finally {
        await Promise.all(proxies.map((proxy) => proxy.restore()));
      }
      return performance.now();
    }
  }
}

const PARTS = { worker: 'the worker', api: 'the API', temporal: 'Temporal', postgres: 'PostgreSQL' };

/** The fault as a line of the run's progress. */
export function told(fault: Fault): string {
  const lasting = 'forMs' in fault ? ` for ${(fault.forMs / 1000).toFixed(1)} s` : '';
  switch (fault.kind) {
    case 'kill':
      return `SIGKILL of ${PARTS[fault.part]}`;
    case 'freeze':
      return `SIGSTOP of ${PARTS[fault.part]}${lasting}`;
    case 'cut':
      return `${fault.link}: all connections are cut`;
    case 'refuse':
      return `${fault.link}: no connection is taken${lasting}`;
    case 'delay':
      return `${fault.link}: ${fault.lag.latencyMs} to ${fault.lag.latencyMs + fault.lag.jitterMs} ms late${lasting}`;
    case 'swallow':
      return `${fault.link}: nothing arrives${lasting}`;
  }
}

/** The fault as a row of the table: faults of the same kind share their figures. */
export function kindOf(fault: Fault): string {
  switch (fault.kind) {
    case 'kill':
      return `SIGKILL of ${PARTS[fault.part]}`;
    case 'freeze':
      return `SIGSTOP of ${PARTS[fault.part]}, then SIGCONT`;
    case 'cut':
      return 'all connections of a link cut';
    case 'refuse':
      return 'connections of a link refused';
    case 'delay':
      return 'a link slow';
    case 'swallow':
      return 'a link silent';
  }
}
