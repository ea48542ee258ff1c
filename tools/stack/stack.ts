import type { SupervisedProcess } from '../processes/supervisor.js';
import type { Reporter } from '../terminal/reporter.js';
import type { PortMapper } from './network-links.js';

/** Number of workers and number of APIs on a shared cluster. */
export const CLUSTER_REPLICAS = 2;

export interface StackOptions {
  report: Reporter;
  /** False for tests: Temporal keeps its state in memory, and PostgreSQL does not wait for the disk. */
  durable?: boolean;
  /** False for tests: the stack starts no Web UI. */
  webUi?: boolean;
  /** Number of worker processes and number of API processes. Both default to 1. */
  workerCount?: number;
  apiCount?: number;
  /** False to measure the cost of metrics: no process serves metrics. */
  metrics?: boolean;
  /**
   * True for `npm run dev`: a worker or API that fails again and again does not end the stack, because the next change of
   * the code may repair it.
   */
  watch?: boolean;
  /** Redirects network links to proxies. Default: direct connections. */
  mapPort?: PortMapper;
  /** Aborts the start of the stack. */
  signal?: AbortSignal;
}

/** The addresses of a running stack. While the stack runs, `DATA_DIR/stack.json` contains the same addresses. */
export interface StackAddresses {
  readonly apiUrl: string;
  /** The URLs of all API processes. `apiUrl` is the first URL in this list. */
  readonly apiUrls: readonly [string, ...string[]];
  /** The codec endpoint that decrypts payloads for Web UI and CLI. Undefined without payload encryption. */
  readonly codecUrl: string | undefined;
  readonly temporalAddress: string;
  readonly temporalNamespace: string;
  readonly databaseUrl: string;
  /** URL of the same database, with the owner of the schema as user. */
  readonly ownerDatabaseUrl: string;
  readonly webUiUrl: string | undefined;
  readonly paymentsUrl: string;
  readonly carrierUrl: string;
  readonly carrierWebhookSecret: string;
  /** The secret that signs approval webhooks. If two secrets are configured, this is the first secret. */
  readonly approvalWebhookSecret: string;
  /** URL of the page that shows the received mails. Undefined if the stack does not run the fake mailbox. */
  readonly mailboxUrl: string | undefined;
  /** URL of the page that shows the messages in the fake Slack. Undefined if the stack does not use the fake Slack. */
  readonly slackUrl: string | undefined;
  /** URL of the page that breaks the stack on purpose. Undefined if the stack runs no fakes. */
  readonly breakItUrl: string | undefined;
  readonly workerHealthUrl: string;
  /** URLs of the metrics: one URL per API process, one per worker, and one for the business metrics. */
  readonly metricsUrls: readonly string[];
  /** Path of the `temporal` CLI. Undefined if the stack uses an existing Temporal service. */
  readonly temporalCliPath: string | undefined;
}

export interface Stack {
  readonly addresses: StackAddresses;
  readonly dataDir: string;
  readonly logsDir: string;
  /** PostgreSQL's data folder. Undefined if the stack uses an existing PostgreSQL server. */
  readonly postgresDataDir: string | undefined;
  /**
   * The processes that the stack started, by name: api, worker, fakes, temporal, postgres, and replicas (api-2,
   * worker-2, …).
   */
  readonly processes: ReadonlyMap<ProcessName, SupervisedProcess>;
  /** Resolves with the error when a process fails and is not restarted. */
  readonly failed: Promise<Error>;
  /** Stops all processes in order and waits until they have exited. */
  stop(): Promise<void>;
}

export type ProcessKind = 'api' | 'worker' | 'fakes' | 'temporal' | 'postgres';
export type ProcessName = ProcessKind | `${'api' | 'worker'}-${number}`;
