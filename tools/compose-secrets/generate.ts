import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { createApiKey } from '../../src/api/plugins/auth/api-keys.js';
import { CALLER_ROLES } from '../../src/schemas/api-key.js';

/** The caller id of the key in `API_KEY`. This caller approves large orders. */
const FIRST_API_KEY_ID = 'shift-lead';

/**
 * Generates all secrets that `docker-compose.yml` needs. The containers do not use `API_KEY`, which is the key of a
 * first caller with all roles. `API_KEYS` contains the hash of this key.
 */
export function generateComposeSecrets(): Record<string, string> {
  const { key, hash } = createApiKey();
  return {
    POSTGRES_PASSWORD: randomHex(),
    SHOP_DATABASE_PASSWORD: randomHex(),
    SHOP_OWNER_DATABASE_PASSWORD: randomHex(),
    TEMPORAL_DATABASE_PASSWORD: randomHex(),
    CARRIER_WEBHOOK_SECRET: randomWebhookSecret(),
    APPROVAL_WEBHOOK_SECRET: randomWebhookSecret(),
    OUTGOING_WEBHOOK_SECRET: randomWebhookSecret(),
    APPROVAL_LINK_SECRET: randomHex(),
    CURSOR_SECRET: randomHex(),
    PAYLOAD_ENCRYPTION_KEYS: `first:${randomBytes(32).toString('base64')}`,
    GRAFANA_PASSWORD: randomHex(),
    API_KEYS: JSON.stringify([{ id: FIRST_API_KEY_ID, roles: CALLER_ROLES, hashes: [hash] }]),
    API_KEY: key,
  };
}

/**
 * Writes the secrets to a file that only the current user may read. @throws EEXIST when the file exists, because new
 * passwords would not match existing databases.
 */
export async function writeComposeSecrets(file: string): Promise<void> {
  // Compose and shells read a value in single quotes literally, and no secret contains a single quote.
  const lines = Object.entries(generateComposeSecrets()).map(([name, value]) => `${name}='${value}'\n`);
  await writeFile(file, lines.join(''), { mode: 0o600, flag: 'wx' });
}

/** Generates a secret that needs no escaping in a URL. */
const randomHex = () => randomBytes(32).toString('hex');
const randomWebhookSecret = () => `whsec_${randomBytes(32).toString('base64')}`;
