import { setTimeout as delay } from 'node:timers/promises';
import { PROCESS_LABELS } from '../../stack/kill-process.js';
import type { ShopUnderTest } from '../shop-under-test.js';
import type { Fault } from './plan.js';

/**
 * Injects a fault. Waits until a lasting fault ends.
 *
 * @returns performance.now() when the shop can start to recover: at the kill or reset, or at the end of a lasting
 * fault.
 */
export async function injectFault(
  fault: Fault,
  { processes, links }: ShopUnderTest,
  signal?: AbortSignal,
): Promise<number> {
  switch (fault.kind) {
    case 'kill': {
      const { current } = processes[fault.process];
      current.kill('SIGKILL');
      const diedAt = performance.now();
      await current.exited;
      return diedAt;
    }
    case 'freeze': {
      const { current } = processes[fault.process];
      current.kill('SIGSTOP');
      try {
        await delay(fault.forMs, undefined, { signal });
      } finally {
        current.kill('SIGCONT');
      }
      return performance.now();
    }
    case 'reset':
      for (const proxy of links.proxiesOf(fault.link)) proxy.resetConnections();
      return performance.now();
    case 'refuse':
    case 'delay':
    case 'blackhole': {
      const proxies = links.proxiesOf(fault.link);
      try {
        for (const proxy of proxies) {
          if (fault.kind === 'refuse') await proxy.refuseConnections();
          else if (fault.kind === 'blackhole') proxy.blackhole();
          else proxy.addLatency(fault.latency);
        }
        await delay(fault.forMs, undefined, { signal });
      } finally {
        await Promise.all(proxies.map((proxy) => proxy.restore()));
      }
      return performance.now();
    }
  }
}

/** Formats a fault as a line of progress. */
export function describeFault(fault: Fault): string {
  const lasting = 'forMs' in fault ? ` for ${(fault.forMs / 1000).toFixed(1)} s` : '';
  switch (fault.kind) {
    case 'kill':
      return `SIGKILL of ${PROCESS_LABELS[fault.process]}`;
    case 'freeze':
      return `SIGSTOP of ${PROCESS_LABELS[fault.process]}${lasting}`;
    case 'reset':
      return `${fault.link}: all connections are reset`;
    case 'refuse':
      return `${fault.link}: new connections are refused${lasting}`;
    case 'delay':
      return `${fault.link}: ${fault.latency.latencyMs} to ${fault.latency.latencyMs + fault.latency.jitterMs} ms of latency${lasting}`;
    case 'blackhole':
      return `${fault.link}: no data arrives${lasting}`;
  }
}

/** Returns the label of a fault in the result table. Faults with the same label share a row. */
export function faultLabel(fault: Fault): string {
  switch (fault.kind) {
    case 'kill':
      return `SIGKILL of ${PROCESS_LABELS[fault.process]}`;
    case 'freeze':
      return `SIGSTOP of ${PROCESS_LABELS[fault.process]}, then SIGCONT`;
    case 'reset':
      return 'all connections of a link reset';
    case 'refuse':
      return 'new connections of a link refused';
    case 'delay':
      return 'latency on a link';
    case 'blackhole':
      return 'no data on a link';
  }
}
