import { encryptionKeys } from '../../temporal/encryption/keys.js';
import { integer } from '../parsers.js';
import type { VariableDeclaration } from './declaration.js';

/**
 * Variables for the payloads in Temporal. The connection settings come from a profile: see
 * src/temporal/connection-profile.ts.
 */
export const TEMPORAL_VARIABLES = {
  PAYLOAD_ENCRYPTION_KEYS: {
    schema: encryptionKeys.meta({ values: 'comma-separated `id:key` pairs; a key has 32 bytes in base64' }).optional(),
    description:
      'Encrypts the payloads that Temporal stores, such as inputs and results. The first key encrypts; all keys decrypt.',
    example: '2026-11:$(openssl rand -base64 32)',
    readBy: ['worker', 'api', 'replay'],
    secret: true,
  },
  TEMPORAL_RETENTION_DAYS: {
    schema: integer(1, 36_500).optional(),
    description:
      'How long Temporal keeps a closed workflow, in days. Setup creates the namespace with this retention, 7 by default. If the variable is set, setup also changes an existing namespace.',
    example: '7',
    readBy: ['setup'],
  },
} as const satisfies Record<string, VariableDeclaration>;
