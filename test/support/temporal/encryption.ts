import { randomBytes } from 'node:crypto';
import { Client } from '@temporalio/client';
import { createClientDataConverter } from '../../../src/temporal/encryption/data-converters.js';
import { encryptionKeys, type EncryptionKey } from '../../../src/temporal/encryption/keys.js';
import type { TemporalServer } from '../shop/shop.js';

/** Generates a key in the format of PAYLOAD_ENCRYPTION_KEYS. */
export const generateEncryptionKey = (id: string): string => `${id}:${randomBytes(32).toString('base64')}`;

/** Parses keys like the configuration. Keeps their order. */
export const parseEncryptionKeys = (...keys: string[]): EncryptionKey[] => encryptionKeys.parse(keys.join(','));

/** Creates a client that encrypts and decrypts payloads with these keys. */
export function createEncryptingClient(
  { client, namespace }: Pick<TemporalServer, 'client' | 'namespace'>,
  keys: readonly EncryptionKey[],
): Client {
  return new Client({
    connection: client.connection,
    namespace,
    dataConverter: createClientDataConverter({ keys, namespace }),
  });
}
