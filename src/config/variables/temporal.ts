import { z } from 'zod';
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
  APPROVAL_NAMESPACE: {
    // The name is also the name of a Nexus endpoint, which allows fewer characters than a namespace.
    schema: z
      .string()
      .regex(
        /^[A-Za-z][A-Za-z0-9.-]{0,198}[A-Za-z0-9]$/,
        'must be 2 to 200 letters, digits, dots and dashes, start with a letter and end with a letter or a digit',
      )
      .meta({ values: 'namespace of letters, digits, dots and dashes' })
      .optional(),
    description:
      'The namespace of approvals. Orders request their approvals over a Nexus endpoint. Without this variable, an approval is a child workflow of its order.',
    example: 'approvals',
    readBy: ['worker', 'api', 'setup', 'replay'],
  },
  TEMPORAL_RETENTION_DAYS: {
    schema: integer(1, 36_500).optional(),
    description:
      'How long Temporal keeps a closed workflow, in days. Setup creates the namespace with this retention, 7 by default. If the variable is set, setup also changes an existing namespace.',
    example: '7',
    readBy: ['setup'],
  },
} as const satisfies Record<string, VariableDeclaration>;
