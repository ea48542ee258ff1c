import { createCipheriv, createDecipheriv, randomBytes, type KeyObject } from 'node:crypto';
import type { Payload, PayloadCodec } from '@temporalio/common';
import proto from '@temporalio/proto';
import type { EncryptionKey } from './keys.js';

const ProtoPayload = proto.temporal.api.common.v1.Payload;

const CIPHER = 'aes-256-gcm';
const IV_BYTES = 12;
const TAG_BYTES = 16;

/** The metadata of encrypted payloads. The encryption samples of all SDKs use the same names. */
const ENCRYPTED_ENCODING = Buffer.from('binary/encrypted');
const KEY_ID_METADATA = 'encryption-key-id';

/**
 * Thrown when the key of a payload is not configured. The message contains no data. It contains the key id, which is
 * not secret and which an operator needs.
 */
export class UnknownEncryptionKey extends Error {
  override readonly name = 'UnknownEncryptionKey';

  constructor(keyId: string) {
    super(`a payload is encrypted with the key ${JSON.stringify(keyId)}, which is not in PAYLOAD_ENCRYPTION_KEYS`);
  }
}

/**
 * Thrown when a payload was modified, belongs to another namespace, or was encrypted with another key of the same id.
 */
export class UndecryptablePayload extends Error {
  override readonly name = 'UndecryptablePayload';

  constructor(keyId: string) {
    super(`a payload names the encryption key ${JSON.stringify(keyId)} but cannot be decrypted with it`);
  }
}

export interface EncryptionOptions {
  /**
   * The first key encrypts, and all keys decrypt. Without keys, payloads are not encrypted, and encrypted payloads are
   * rejected.
   */
  keys: readonly EncryptionKey[];
  /** The namespace is authenticated with each payload, so that a payload cannot be decrypted in another namespace. */
  namespace: string;
  /**
   * Namespaces whose payloads can be decrypted here too. Nexus operations carry payloads from one namespace to another.
   */
  peerNamespaces?: readonly string[] | undefined;
}

/**
 * Encrypts whole payloads, including their metadata, with AES-256-GCM. `data` is a random 12-byte IV, the ciphertext
 * and a 16-byte tag. The associated data is `v1:<namespace>`. Decoding does not change plain payloads. So workflows
 * that started before encryption was turned on continue, and the CLI can send plain payloads.
 *
 * @throws UnknownEncryptionKey and UndecryptablePayload in `decode`.
 */
export function createPayloadCodec({ keys, namespace, peerNamespaces = [] }: EncryptionOptions): PayloadCodec {
  const associatedData = associatedDataOf(namespace);
  const [current] = keys;
  const keysById = new Map(keys.map(({ id, key }) => [id, key]));

  function encrypt(payload: Payload, { id, key }: EncryptionKey): Payload {
    const iv = randomBytes(IV_BYTES);
    const cipher = createCipheriv(CIPHER, key, iv, { authTagLength: TAG_BYTES }).setAAD(associatedData);
    const ciphertext = [cipher.update(ProtoPayload.encode(payload).finish()), cipher.final()];
    return {
      metadata: { encoding: ENCRYPTED_ENCODING, [KEY_ID_METADATA]: Buffer.from(id) },
      data: Buffer.concat([iv, ...ciphertext, cipher.getAuthTag()]),
    };
  }

  function decrypt(payload: Payload): Payload {
    const keyId = readKeyId(payload);
    const key = keysById.get(keyId);
    // A payload without a key id is undecryptable, because no key can match it.
    if (!key) throw keyId === '' ? new UndecryptablePayload(keyId) : new UnknownEncryptionKey(keyId);
    for (const origin of [namespace, ...peerNamespaces]) {
      try {
        return ProtoPayload.decode(decryptBytes(payload.data ?? Buffer.alloc(0), key, associatedDataOf(origin)));
      } catch {
        // The payload may be from another namespace.
      }
    }
    throw new UndecryptablePayload(keyId);
  }

  function decryptBytes(data: Uint8Array, key: KeyObject, authenticated: Buffer): Buffer {
    const tag = data.subarray(-TAG_BYTES);
    const decipher = createDecipheriv(CIPHER, key, data.subarray(0, IV_BYTES), { authTagLength: TAG_BYTES });
    decipher.setAAD(authenticated).setAuthTag(tag);
    return Buffer.concat([decipher.update(data.subarray(IV_BYTES, -TAG_BYTES)), decipher.final()]);
  }

  return {
    encode: async (payloads) => (current ? payloads.map((payload) => encrypt(payload, current)) : payloads),
    decode: async (payloads) => payloads.map((payload) => (isEncrypted(payload) ? decrypt(payload) : payload)),
  };
}

const associatedDataOf = (namespace: string) => Buffer.from(`v1:${namespace}`);

/** Whether the metadata marks a payload as encrypted. The SDK's core passes empty bytes as an empty array. */
export const isEncrypted = ({ metadata }: Payload): boolean =>
  ENCRYPTED_ENCODING.equals(Buffer.from(metadata?.['encoding'] ?? []));

/** Returns the key id in the metadata, truncated to the maximum length of an id. Any client can have written it. */
const readKeyId = ({ metadata }: Payload): string =>
  Buffer.from(metadata?.[KEY_ID_METADATA] ?? Buffer.alloc(0))
    .toString()
    .slice(0, 64);

/** The payload that replaces an undecryptable payload in the workflow sandbox. No converter has its encoding. */
const UNREADABLE_PAYLOAD: Payload = { metadata: { encoding: Buffer.from('binary/unreadable') }, data: Buffer.alloc(0) };

/**
 * The codec for workers. If the key of a payload is missing, the workflow task fails and is retried until a worker has
 * the key. Another worker may have it, and all workers must read the same value. An undecryptable payload is
 * undecryptable on every worker. In a workflow it becomes `UNREADABLE_PAYLOAD`, which
 * src/temporal/payloads/workflow-payload-converter.ts handles, so that a signal with such a payload cannot block the
 * workflow forever.
 */
export function createWorkerCodec({ encode, decode }: PayloadCodec): PayloadCodec {
  return {
    encode,
    decode: async (payloads, context) => {
      const decoded = payloads.map(async (payload) => {
        try {
          return (await decode([payload], context))[0]!;
        } catch (error) {
          if (error instanceof UndecryptablePayload && context?.type === 'workflow') return UNREADABLE_PAYLOAD;
          throw error;
        }
      });
      return await Promise.all(decoded);
    },
  };
}
