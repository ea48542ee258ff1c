import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { createApiKey } from '../../src/api/plugins/auth/api-keys.js';
import { ROLES } from '../../src/schemas/api-key.js';

/** The owner of the key in `API_KEY`: the approver of large orders. */
const FIRST_CALLER = 'shift-lead';

/**
 * All secrets that `docker-compose.yml` needs, newly generated on each call. `API_KEY` is not for the containers: it is
 * the key of a first caller with all roles, and its hash is in `API_KEYS`.
 */
export function composeSecrets(): Record<string, string> {
  const { key, hash } = createApiKey();
  return {
    POSTGRES_PASSWORD: hexadecimal(),
    SHOP_DATABASE_PASSWORD: hexadecimal(),
    SHOP_OWNER_DATABASE_PASSWORD: hexadecimal(),
    TEMPORAL_DATABASE_PASSWORD: hexadecimal(),
    CARRIER_WEBHOOK_SECRET: webhookSecret(),
    APPROVAL_WEBHOOK_SECRET: webhookSecret(),
    OUTGOING_WEBHOOK_SECRET: webhookSecret(),
    APPROVAL_LINK_SECRET: hexadecimal(),
    CURSOR_SECRET: hexadecimal(),
    PAYLOAD_ENCRYPTION_KEYS: `first:${randomBytes(32).toString('base64')}`,
    GRAFANA_PASSWORD: hexadecimal(),
    API_KEYS: JSON.stringify([{ id: FIRST_CALLER, roles: ROLES, hashes: [hash] }]),
    API_KEY: key,
  };
}

/**
 * Writes the secrets to a file that only the current user may read. @throws EEXIST when the file exists: databases keep
 * their first passwords.
 */
export async function writeComposeSecrets(file: string): Promise<void> {
  // Compose and shells take a value in single quotes literally, and no secret contains a single quote.
  const lines = Object.entries(composeSecrets()).map(([name, value]) => `${name}='${value}'\n`);
  await writeFile(file, lines.join(''), { mode: 0o600, flag: 'wx' });
}

/** Needs no escaping in a URL. */
const hexadecimal = () => randomBytes(32).toString('hex');
const webhookSecret = () => `whsec_${randomBytes(32).toString('base64')}`;
