import { randomInt } from 'node:crypto';
import { parseArguments, UsageError } from '../terminal/command-line.js';

export const SERVER_KINDS = ['dev', 'full'] as const;

/** `dev`: Temporal's dev server with a database file. `full`: the full Temporal server on PostgreSQL. */
export type ServerKind = (typeof SERVER_KINDS)[number];

/** The arguments of `npm run chaos`. */
export interface ChaosCommand {
  seed: number;
  seconds: number;
  servers: readonly ServerKind[];
}

const MAX_SEED = 2 ** 31 - 1;
const MAX_SECONDS = 24 * 3_600;
const MIN_SECONDS = 10;

export const usage = `Usage: npm run chaos -- [options]

Starts a shop, injects faults into its processes and network while clients use it, then audits all results.

  --seed <n>       determines the faults, their times and what the clients do: 0 to ${MAX_SEED}; default: random
  --seconds <n>    duration, ${MIN_SECONDS} to ${MAX_SECONDS}; default: 60. At least one round of nine faults runs
  --server <name>  dev (Temporal's dev server; default), full (the full server on PostgreSQL), both (one after the other)
  --help

Example: npm run chaos -- --seed 42 --seconds 120 --server full

Exit code: 0 nothing lost and nothing duplicated, 1 violations, 2 invalid arguments, 130 ended by Ctrl-C.`;

/** Parses the arguments of `npm run chaos`. @throws UsageError that contains the invalid argument. */
export function readCommandLine(args: string[]): ChaosCommand | 'help' {
  const { values, positionals } = parseArguments({
    args,
    allowPositionals: true,
    options: {
      seed: { type: 'string' },
      seconds: { type: 'string', default: '60' },
      server: { type: 'string', default: 'dev' },
      help: { type: 'boolean', short: 'h' },
    },
  });
  if (values.help) return 'help';
  if (positionals.length > 0) throw new UsageError(`unexpected argument: ${positionals.join(', ')}`);
  return {
    seed: values.seed === undefined ? randomInt(MAX_SEED) : parseInteger('--seed', values.seed, 0, MAX_SEED),
    seconds: parseInteger('--seconds', values.seconds, MIN_SECONDS, MAX_SECONDS),
    servers: parseServers(values.server),
  };
}

function parseInteger(option: string, value: string, min: number, max: number): number {
  const number = Number(value);
  if (/^\d+$/.test(value) && number >= min && number <= max) return number;
  throw new UsageError(`${option} ${value}: must be an integer from ${min} to ${max}`);
}

function parseServers(value: string): readonly ServerKind[] {
  if (value === 'both') return SERVER_KINDS;
  const server = SERVER_KINDS.find((name) => name === value);
  if (server) return [server];
  throw new UsageError(`--server ${value}: must be ${SERVER_KINDS.join(', ')} or both`);
}
