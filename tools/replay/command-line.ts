import { parseArguments, UsageError } from '../terminal/command-line.js';

/** The arguments of `npm run replay`. */
export interface ReplayCommand {
  /** The sample of runs to fetch from a server. Undefined without `--from-server`. */
  serverSample: ServerSample | undefined;
  /** Whether to replay the committed histories. */
  includesCommitted: boolean;
  /** Files with histories to replay. With such files, the committed histories are not replayed. */
  historyFiles: string[];
  /** The file of the workflow bundle. Default: the workflows of this checkout. */
  bundlePath: string | undefined;
}

export interface ServerSample {
  query: string;
  /** Whether the query comes from `--query`. Such a query must find at least one run. */
  hasCustomQuery: boolean;
  limit: number;
  /** Default: the server in the environment variables, else the running stack. */
  address: string | undefined;
  namespace: string | undefined;
}

// Excludes runs that are pinned to a worker version. They never run the code of this checkout.
const versioningBehaviorAttribute = 'TemporalWorkflowVersioningBehavior';
const DEFAULT_QUERY = `ExecutionStatus = 'Running' and (${versioningBehaviorAttribute} is null or ${versioningBehaviorAttribute} != 'Pinned')`;
const DEFAULT_LIMIT = 100;
const MAX_LIMIT = 10_000;

export const usage = `Usage: npm run replay [-- options]

Replays histories with the workflows of this checkout, and reports those that do not replay.

  (no options)          the histories under test/replay/histories
  --history <file>      only this history, as "temporal workflow show --output json" prints it; may be repeated
  --from-server         also a sample of the runs of a Temporal server
  --skip-committed      without the histories under test/replay/histories, to check a rollback to an older release
  --query <query>       visibility query that selects the runs; default: ${DEFAULT_QUERY}
  --limit <n>           maximum number of runs, some of each workflow type; default: ${DEFAULT_LIMIT}
  --address <host:port> default: TEMPORAL_ADDRESS, else the server of "npm start"
  --namespace <name>    default: TEMPORAL_NAMESPACE, else the namespace of "npm start"
  --bundle <file>       replays with this workflow bundle, such as one of "npm run build"
  --help

Exit code: 0 all replay, 1 some do not replay, 2 no result: invalid options, no server, no such bundle,
or a --query that finds no run.`;

/** Parses the arguments of `npm run replay`. @throws UsageError */
export function readCommandLine(args: string[]): ReplayCommand | 'help' {
  const values = parseArguments({
    args,
    options: {
      'from-server': { type: 'boolean' },
      'skip-committed': { type: 'boolean' },
      history: { type: 'string', multiple: true },
      query: { type: 'string' },
      limit: { type: 'string' },
      address: { type: 'string' },
      namespace: { type: 'string' },
      bundle: { type: 'string' },
      help: { type: 'boolean', short: 'h' },
    },
  }).values;
  if (values.help) return 'help';
  const { query, limit, address, namespace } = values;
  const ofServer = { 'skip-committed': values['skip-committed'], query, limit, address, namespace };
  const given = Object.entries(ofServer).find(([, value]) => value !== undefined);
  if (given && !values['from-server']) throw new UsageError(`--${given[0]} requires --from-server`);
  const { history: historyFiles = [] } = values;
  if (historyFiles.length > 0 && values['from-server'])
    throw new UsageError('--history and --from-server exclude each other');
  return {
    bundlePath: values.bundle,
    includesCommitted: !values['skip-committed'] && historyFiles.length === 0,
    historyFiles,
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

function parseLimit(value: string): number {
  const limit = Number(value);
  if (/^\d+$/.test(value) && limit >= 1 && limit <= MAX_LIMIT) return limit;
  throw new UsageError(`--limit ${value}: must be an integer from 1 to ${MAX_LIMIT}`);
}
