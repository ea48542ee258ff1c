import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { addressesFile } from '../stack/data-files.js';
import {
  findStackProcess,
  KILLABLE_PROCESSES,
  killStackProcess,
  PROCESS_LABELS,
  type KillableProcess,
} from '../stack/kill-process.js';
import { auditScene, type SceneAudit } from './audit-scene.js';
import { runScene } from './run-scene.js';
import { createScene, isRunning, type Scene } from './scene.js';
import { createSwitches, type ControlledFakes } from './switches.js';

const MAX_LOG_ENTRIES = 12;

/** The stack restarts a process at most five times a minute, and stops after that. */
const MAX_KILLS_PER_MINUTE = 4;

/** The parcel in the report about another parcel. No order has it. */
const FOREIGN_SHIPMENT_ID = 'sh_of-another-order';

const stackFile = z.object({
  apiUrl: z.string(),
  workerHealthUrl: z.string(),
  webUiUrl: z.string().optional(),
  mailboxUrl: z.string().optional(),
});

type Addresses = z.infer<typeof stackFile>;

/** A process is `starting` until it is ready for the first time. A ready worker polls its task queues. */
type ProcessState = 'not running' | 'starting' | 'running' | 'not ready';

/** The readiness endpoint must answer within this time, so that the page stays fast. */
const READINESS_TIMEOUT_MS = 1_000;

/** The choice without a fault. */
export const NORMAL = 'normal';

export interface LogEntry {
  at: string;
  text: string;
}

/** An action that is not possible now. The page shows the message. */
export class ActionRejected extends Error {
  override readonly name = 'ActionRejected';
}

export type BreakIt = ReturnType<typeof createBreakIt>;
export type BreakItView = Awaited<ReturnType<BreakIt['read']>>;

/** What the page shows and does, for the stack in this data folder. */
export function createBreakIt(fakes: ControlledFakes, dataDir: string) {
  const switches = createSwitches(fakes);
  const entries: LogEntry[] = [];
  const kills = new Map<KillableProcess, number[]>();
  let scene: Scene | undefined;
  const finalAudits = new WeakMap<Scene, SceneAudit>();
  /** The last process of each name that was ready. */
  const readyPids = new Map<KillableProcess, number>();

  const log = (text: string): void => {
    entries.unshift({ at: new Date().toISOString(), text });
    entries.splice(MAX_LOG_ENTRIES);
  };

  /** Returns the addresses of the stack. Undefined while the stack starts or stops. */
  const readAddresses = async () =>
    await readFile(addressesFile(dataDir), 'utf8')
      .then((text) => stackFile.parse(JSON.parse(text)))
      .catch(() => undefined);

  async function readProcess(name: KillableProcess, addresses: Addresses | undefined) {
    const pid = await findStackProcess(dataDir, name);
    if (pid === undefined) return { name, pid, state: 'not running' as ProcessState };
    if (await isReady(name, addresses)) readyPids.set(name, pid);
    else return { name, pid, state: (readyPids.get(name) === pid ? 'not ready' : 'starting') as ProcessState };
    return { name, pid, state: 'running' as ProcessState };
  }

  /** @throws ActionRejected when the process does not run, or when the stack would not restart it. */
  async function killProcess(name: KillableProcess): Promise<number> {
    const recent = (kills.get(name) ?? []).filter((at) => at > Date.now() - 60_000);
    if (recent.length >= MAX_KILLS_PER_MINUTE)
      throw new ActionRejected(
        `The page killed ${PROCESS_LABELS[name]} ${recent.length} times within a minute. After one more kill, the stack can stop. Wait a minute.`,
      );
    const pid = await killStackProcess(dataDir, name).catch((error: Error) => {
      throw new ActionRejected(error.message);
    });
    kills.set(name, [...recent, Date.now()]);
    return pid;
  }

  return {
    log,

    async kill(name: KillableProcess): Promise<void> {
      log(`Killed ${PROCESS_LABELS[name]} (process ${await killProcess(name)})`);
    },

    turn(name: string, direction: 'on' | 'off'): void {
      const found = switches.find((candidate) => candidate.name === name);
      if (!found) throw new ActionRejected(`There is no switch ${name}.`);
      if (direction === 'on') found.turnOn();
      else found.turnOff();
      log(`${found.partner}, ${found.title.toLowerCase()}: ${direction === 'on' ? 'turned on' : 'back to normal'}`);
    },

    /** Lets the carrier report to the newest order that the parcel of another order is delivered. */
    async reportForeignParcel(): Promise<void> {
      const shipments = fakes.ledger.shipments.all;
      const shipment = shipments.findLast(({ status }) => status === 'accepted' || status === 'in_transit');
      const orderId = (shipment ?? shipments.at(-1))?.request.orderId;
      if (orderId === undefined) throw new ActionRejected('No order has a parcel yet. Place an order first.');
      const result = await fakes.carrier.reportNow(orderId, {
        status: 'delivered',
        shipmentId: FOREIGN_SHIPMENT_ID,
      });
      const answer = result?.status === undefined ? (result?.error ?? 'nothing') : String(result.status);
      log(
        `Carrier: reported to order ${orderId} that parcel ${FOREIGN_SHIPMENT_ID} is delivered; the API answered ${answer}`,
      );
    },

    async startScene(orderCount: number, name: KillableProcess): Promise<void> {
      if (scene && isRunning(scene))
        throw new ActionRejected('A scene is running. Wait until all of its orders are final.');
      const addresses = await readAddresses();
      if (!addresses) throw new ActionRejected('The stack is starting or stopping. Try again in some seconds.');
      const started = createScene(orderCount, name);
      scene = started;
      const running = runScene(started, { fakes, apiUrl: addresses.apiUrl, kill: killProcess, log });
      // Later orders change the stock, so the result of a scene is from the moment of its end.
      void running.then(() => finalAudits.set(started, auditScene(started, fakes.records())));
    },

    /** Turns one of the exclusive faults of the gateway on, or all of them off. */
    chooseGatewayAnswers(name: string): void {
      const faults = switches.filter(({ isExclusive }) => isExclusive);
      const active = faults.find(({ isOn }) => isOn());
      if (name !== NORMAL) this.turn(name, 'on');
      else if (active) this.turn(active.name, 'off');
    },

    async read() {
      const addresses = await readAddresses();
      const processes = await Promise.all(KILLABLE_PROCESSES.map((name) => readProcess(name, addresses)));
      return {
        addresses,
        processes,
        switches: switches.map(({ isOn, turnOn: _, turnOff: __, ...described }) => ({ ...described, isOn: isOn() })),
        scene: scene && { scene, audit: finalAudits.get(scene) ?? auditScene(scene, fakes.records()) },
        log: [...entries],
      };
    },
  };
}

/** Whether the worker or the API is ready. Temporal and PostgreSQL count as ready once their process runs. */
async function isReady(name: KillableProcess, addresses: Addresses | undefined): Promise<boolean> {
  if (name !== 'worker' && name !== 'api') return true;
  if (!addresses) return false;
  const url = name === 'worker' ? addresses.workerHealthUrl : addresses.apiUrl;
  return await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(READINESS_TIMEOUT_MS) }).then(
    ({ ok }) => ok,
    () => false,
  );
}
