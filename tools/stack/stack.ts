import type { SupervisedProcess } from '../processes/supervisor.js';
import type { Reporter } from '../terminal/reporter.js';
import type { PortMapper } from './network-links.js';

/** Number of processes of each kind in tests and checks that need more than one. */
export const CLUSTER_REPLICAS = 2;

export interface StackOptions {
  report: Reporter;
  /** False for tests: Temporal keeps its state in memory, and PostgreSQL does not wait for the disk. */
  durable?: boolean;
  /** False starts no Web UI; for tests. */
  webUi?: boolean;
  /** Number of worker processes and of API processes. Default 1. */
  workerCount?: number;
  apiCount?: number;
  /** False serves no metrics, to measure their cost. */
  metrics?: boolean;
  /** Network links (proxies) between the processes, and between clients and the API. Default: direct connections. */
  mapPort?: PortMapper;
  /** Aborts the start. */
  signal?: AbortSignal;
}

/** The addresses of a running stack. `DATA_DIR/stack.json` holds the same while the stack runs. */
export interface StackAddresses {
  readonly apiUrl: string;
  /** All API processes; `apiUrl` is the first. */
  readonly apiUrls: readonly [string, ...string[]];
  /** The codec endpoint that decrypts payloads for Web UI and CLI; undefined without payload encryption. */
  readonly codecUrl: string | undefined;
  readonly temporalAddress: string;
  readonly temporalNamespace: string;
  readonly databaseUrl: string;
  /** The same database, as the owner of the schema. */
  readonly ownerDatabaseUrl: string;
  readonly webUiUrl: string | undefined;
  readonly paymentsUrl: string;
  readonly carrierUrl: string;
  readonly carrierWebhookSecret: string;
  /** The secret to sign with: the first when two are configured. */
  readonly approvalWebhookSecret: string;
  /** The page that shows the received mails, when the stack runs the fake mailbox. */
  readonly mailboxUrl: string | undefined;
  readonly workerHealthUrl: string;
  /** The metrics pages: one for each API process, one for each worker, and one with business metrics. */
  readonly metricsUrls: readonly string[];
  /** Path of the `temporal` CLI, when the stack found one. */
  readonly temporalCliPath: string | undefined;
}

export interface Stack {
  readonly addresses: StackAddresses;
  readonly dataDir: string;
  readonly logsDir: string;
  /** PostgreSQL's data folder, when the stack started PostgreSQL. */
  readonly postgresDataDir: string | undefined;
  /**
   * The processes that the stack started, by name: api, worker, fakes, temporal, postgres, and replicas (api-2,
   * worker-2, …).
   */
  readonly processes: ReadonlyMap<ProcessName, SupervisedProcess>;
  /** Resolves with the reason when a process fails and is not restarted. */
  readonly failed: Promise<Error>;
  /** Stops all processes in order and waits until they have ended. */
  stop(): Promise<void>;
}

export type ProcessKind = 'api' | 'worker' | 'fakes' | 'temporal' | 'postgres';
export type ProcessName = ProcessKind | `${'api' | 'worker'}-${number}`;
