import type { CallerRole } from '../../schemas/api-key.js';
import { withContract } from '../http/route-contract.js';
import { STREAM_TIMEOUT_MS } from '../limits.js';

/** Path of the console. `/` redirects to it. */
export const CONSOLE_PATH = '/console';

interface ConsoleContract {
  operationId: string;
  summary: string;
  access: readonly CallerRole[] | 'page' | 'public';
  changesState?: boolean;
}

/** The contract of a page or form of the console. Callers use a session or the credentials of the API. */
export const withConsoleContract = ({ access, ...contract }: ConsoleContract) =>
  withContract({
    ...contract,
    tag: 'Console',
    access,
    ...(typeof access === 'object' && { acceptsSession: 'console' }),
  });

/** The contract of a route that sends live updates of a page. */
export const withLiveContract = (contract: ConsoleContract) => ({
  ...withConsoleContract(contract),
  handlerTimeout: STREAM_TIMEOUT_MS,
});
