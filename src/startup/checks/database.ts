import pg from 'pg';
import { isDatabaseUnavailable } from '../../store/postgres/connection-errors.js';
import { RESPONSE_TIMEOUT_MS, describeConnectionError, type ServerProblem } from './server-problem.js';

const EXAMPLE_URL = 'postgres://user:password@127.0.0.1:5432/shop';

/** Matches the text of pg's own errors about encryption and passwords, because they have no code. */
const PG_CLIENT_ERROR = /SSL|SASL|certificate/i;

/**
 * Connects to the database in the same way as the application. With `expectTables`, also checks that the tables of the
 * shop exist.
 */
export async function checkDatabase(
  databaseUrl: string,
  { expectTables }: { expectTables: boolean },
): Promise<ServerProblem | undefined> {
  const problemOf = (kind: ServerProblem['kind'], problem: string): ServerProblem => ({
    kind,
    name: 'DATABASE_URL',
    problem,
    example: EXAMPLE_URL,
  });
  let client: pg.Client;
  try {
    client = new pg.Client({
      connectionString: databaseUrl,
      connectionTimeoutMillis: RESPONSE_TIMEOUT_MS,
      query_timeout: RESPONSE_TIMEOUT_MS,
    });
  } catch (error) {
    // The constructor throws if pg cannot read a file in the URL, such as `sslrootcert`.
    return problemOf('rejected', `cannot be used: ${(error as Error).message}`);
  }
  // Ignores errors of an idle connection; the next call reports them.
  client.on('error', () => undefined);
  const server = `${client.host}:${client.port}`;
  try {
    await client.connect();
    if (!expectTables) return undefined;
    const { rows } = await client.query<{ found: boolean }>(`select to_regclass('products') is not null as found`);
    if (rows[0]?.found) return undefined;
    return problemOf('rejected', `database "${client.database}" on ${server} has no shop tables; run the setup first`);
  } catch (error) {
    return isRejectedConnection(error)
      ? problemOf('rejected', `PostgreSQL on ${server} rejects the connection: ${error.message}`)
      : problemOf('unreachable', `PostgreSQL on ${server} cannot be reached: ${describeConnectionError(error)}`);
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** Whether the server or the driver rejected the connection. False if the server did not respond. */
function isRejectedConnection(error: unknown): error is Error {
  if (isDatabaseUnavailable(error)) return false;
  return error instanceof pg.DatabaseError || (error instanceof Error && PG_CLIENT_ERROR.test(error.message));
}
