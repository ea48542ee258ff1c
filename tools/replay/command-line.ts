import { parseArgs } from 'node:util';
import { UsageError } from '../terminal/command-line.js';

/** The arguments of `npm run replay`. */
export interface ReplayCommand {
  /** If undefined, only the committed histories are replayed. */
  serverSample: ServerSample | undefined;
  /** Whether the committed histories are replayed. */
  includesCommitted: boolean;
  /** The file of bundled workflows. Default: the workflows of this checkout. */
  bundlePath: string | undefined;
}

export interface ServerSample {
  query: string;
  /** Whether the user gave the query; it must then find at least one run. */
  hasCustomQuery: boolean;
  limit: number;
  /** Default: the environment's settings, else the running stack. */
  address: string | undefined;
  namespace: string | undefined;
}

// Excludes runs that are pinned to a version of their workers: they end with that version's code and never run the new
// code.
const versioningBehaviorAttribute = 'TemporalWorkflowVersioningBehavior';
const DEFAULT_QUERY = `ExecutionStatus = 'Running' and (${versioningBehaviorAttribute} is null or ${versioningBehaviorAttribute} != 'Pinned')`;
const DEFAULT_LIMIT = 100;
const MAX_LIMIT = 10_000;

export const usage = `Usage: npm run replay [-- options]

Replays histories with the workflows of this checkout, and tells which of them it would not go on with.

  (no options)          the histories under test/replay/histories
  --from-server         those, and a sample of what a Temporal server has
  --skip-committed         not those, for a release that is older than they are: a rollback
  --query <query>       which of its runs, as a visibility query; unless told: ${DEFAULT_QUERY}
  --limit <n>           how many at most, some of each workflow type; unless told: ${DEFAULT_LIMIT}
  --address <host:port> unless told: TEMPORAL_ADDRESS, else the server of "npm start"
  --namespace <name>    unless told: TEMPORAL_NAMESPACE, else that of "npm start"
  --bundle <file>       other workflows: a bundle, as "npm run build" makes it
  --help

Exit code: 0 all replay, 1 some do not, 2 nothing could be said: wrong options, no server, no such bundle,
a --query that finds no run.`;

/** Reads the arguments of `npm run replay`. @throws UsageError */
export function readCommandLine(args: string[]): ReplayCommand | 'help' {
  const values = parseArguments(args);
  if (values.help) return 'help';
  const { query, limit, address, namespace } = values;
  const ofServer = { 'skip-committed': values['skip-committed'], query, limit, address, namespace };
  const given = Object.entries(ofServer).find(([, value]) => value !== undefined);
  if (given && !values['from-server']) throw new UsageError(`--${given[0]} says something only with --from-server`);
  return {
    bundlePath: values.bundle,
    includesCommitted: !values['skip-committed'],
    serverSample: values['from-server']
      ? {
          query: query ?? DEFAULT_QUERY,
          hasCustomQuery: query !== undefined,
          limit: parseLimit(limit ?? String(DEFAULT_LIMIT)),
          address,
          namespace,
        }
      : undefined,
  };
}

function parseArguments(args: string[]) {
  try {
    return parseArgs({
      args,
      options: {
        'from-server': { type: 'boolean' },
        'skip-committed': { type: 'boolean' },
        query: { type: 'string' },
        limit: { type: 'string' },
        address: { type: 'string' },
        namespace: { type: 'string' },
        bundle: { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    }).values;
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

function parseLimit(value: string): number {
  const limit = Number(value);
  if (/^\d+$/.test(value) && limit >= 1 && limit <= MAX_LIMIT) return limit;
  throw new UsageError(`--limit ${value}: must be a whole number from 1 to ${MAX_LIMIT}`);
}
