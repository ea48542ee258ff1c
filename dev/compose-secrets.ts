import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { createApiKey } from '../src/api/plugins/auth/api-keys.js';
import { ROLES } from '../src/schemas/api-key.js';

/** Who the key in `API_KEY` belongs to: the one who approves large orders. */
const FIRST_CALLER = 'shift-lead';

/**
 * Everything that `docker-compose.yml` needs and that nobody else may know, made anew each time. `API_KEY` is not for the
 * containers: it is the key of a first caller with all roles, whose hash is in `API_KEYS`.
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

/** Writes them into a file that only we may read. @throws EEXIST when it is there: databases keep their first passwords. */
export async function writeComposeSecrets(file: string): Promise<void> {
  // In single quotes compose and shells take a value as it is; none of these has one in it.
  const lines = Object.entries(composeSecrets()).map(([name, value]) => `${name}='${value}'\n`);
  await writeFile(file, lines.join(''), { mode: 0o600, flag: 'wx' });
}

/** Fits into a URL as it is. */
const hexadecimal = () => randomBytes(32).toString('hex');
const webhookSecret = () => `whsec_${randomBytes(32).toString('base64')}`;
