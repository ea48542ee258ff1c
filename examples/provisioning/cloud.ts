import { setTimeout } from 'node:timers/promises';
import { ApplicationFailure } from '@temporalio/common';

/**
 * What goes wrong with a call:
 *
 * - `rejected`: the cloud rejects the call, and a retry cannot help
 * - `unreachable`: the call does not arrive
 * - `response lost`: the call takes effect, but its response does not arrive
 * - `slow`: the call takes effect after a second
 */
type Fault = 'rejected' | 'unreachable' | 'response lost' | 'slow';

/** A cloud provider in memory. Records its effects in order and can simulate faults. */
export class Cloud {
  private readonly received = new Set<string>();
  private readonly resources = new Set<string>();
  private readonly effects: { serverId: string; effect: string }[] = [];
  private readonly faults: { call: string; serverId: string; fault: Fault; times: number }[] = [];

  /** Every activity is idempotent: a repeated call has no effect and no failure. */
  readonly activities = {
    createServer: async (serverId: string) => this.add(serverId, 'createServer', 'server'),
    deleteServer: async (serverId: string) => this.remove(serverId, 'deleteServer', 'server'),
    attachVolume: async (serverId: string) => this.add(serverId, 'attachVolume', 'volume'),
    detachVolume: async (serverId: string) => this.remove(serverId, 'detachVolume', 'volume'),
    configureServer: async (serverId: string) => this.add(serverId, 'configureServer', 'configuration'),
    resetConfiguration: async (serverId: string) => this.remove(serverId, 'resetConfiguration', 'configuration'),
  };

  /** Returns the calls that had an effect on a server, oldest first. */
  effectsOn(serverId: string): string[] {
    return this.effects.filter((each) => each.serverId === serverId).map(({ effect }) => effect);
  }

  /** Returns what exists for a server. */
  resourcesOf(serverId: string): string[] {
    return ['server', 'volume', 'configuration'].filter((resource) => this.resources.has(`${resource} ${serverId}`));
  }

  hasReceived(call: keyof Activities, serverId: string): boolean {
    return this.received.has(`${call} ${serverId}`);
  }

  /** Makes the next calls fail. By default, all calls fail. */
  fail(call: keyof Activities, serverId: string, fault: Fault, times = Infinity): void {
    this.faults.push({ call, serverId, fault, times });
  }

  private async add(serverId: string, call: string, resource: string): Promise<void> {
    await this.call(serverId, call, () => {
      const isNew = !this.resources.has(`${resource} ${serverId}`);
      this.resources.add(`${resource} ${serverId}`);
      return isNew;
    });
  }

  private async remove(serverId: string, call: string, resource: string): Promise<void> {
    await this.call(serverId, call, () => this.resources.delete(`${resource} ${serverId}`));
  }

  private async call(serverId: string, call: string, change: () => boolean): Promise<void> {
    this.received.add(`${call} ${serverId}`);
    const next = this.faults.find((each) => each.call === call && each.serverId === serverId && each.times > 0);
    if (next) next.times -= 1;
    if (next?.fault === 'rejected') throw ApplicationFailure.nonRetryable('the quota is used up', 'QuotaExceeded');
    if (next?.fault === 'unreachable') throw new Error('the cloud is unreachable');
    if (next?.fault === 'slow') await setTimeout(1_000);
    if (change()) this.effects.push({ serverId, effect: call });
    if (next?.fault === 'response lost') throw new Error('the response was lost');
  }
}

export type Activities = Cloud['activities'];
