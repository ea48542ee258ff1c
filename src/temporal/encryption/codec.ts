import { createCipheriv, createDecipheriv, randomBytes, type KeyObject } from 'node:crypto';
import type { Payload, PayloadCodec } from '@temporalio/common';
import proto from '@temporalio/proto';
import type { EncryptionKey } from './keys.js';

const ProtoPayload = proto.temporal.api.common.v1.Payload;

const CIPHER = 'aes-256-gcm';
const IV_BYTES = 12;
const TAG_BYTES = 16;

/** What an encrypted payload says of itself, by the names that the encryption samples of all SDKs use. */
const ENCODING = Buffer.from('binary/encrypted');
const KEY_ID = 'encryption-key-id';

/** Nothing of the data is in the message: the id of a key is no secret, and it is what an operator has to look for. */
export class UnknownEncryptionKey extends Error {
  override readonly name = 'UnknownEncryptionKey';

  constructor(keyId: string) {
    super(`a payload is encrypted with the key ${JSON.stringify(keyId)}, which is not in PAYLOAD_ENCRYPTION_KEYS`);
  }
}

/** It was changed, belongs to another namespace, or was encrypted with another key under the same id. */
export class BrokenPayload extends Error {
  override readonly name = 'BrokenPayload';

  constructor(keyId: string) {
    super(`a payload that says it is encrypted with the key ${JSON.stringify(keyId)} cannot be decrypted with it`);
  }
}

export interface Encryption {
  /** The first encrypts, all of them decrypt. Without any, nothing is encrypted, and what is encrypted is refused. */
  keys: readonly EncryptionKey[];
  /** Goes into the seal of each payload: it opens in no other namespace. */
  namespace: string;
}

/**
 * Encrypts whole payloads, their metadata too, with AES-256-GCM. `data` is a random IV of 12 bytes, the ciphertext and a
 * tag of 16 bytes; the associated data is `v1:<namespace>`. What is not encrypted passes as it is: workflows that were
 * started before go on, and the CLI may send plain payloads.
 *
 * `decode` throws UnknownEncryptionKey and BrokenPayload.
 */
export function createPayloadCodec({ keys, namespace }: Encryption): PayloadCodec {
  const associated = Buffer.from(`v1:${namespace}`);
  const [current] = keys;
  const byId = new Map(keys.map(({ id, key }) => [id, key]));

  function encrypt(payload: Payload, { id, key }: EncryptionKey): Payload {
    const iv = randomBytes(IV_BYTES);
    const cipher = createCipheriv(CIPHER, key, iv, { authTagLength: TAG_BYTES }).setAAD(associated);
    const text = [cipher.update(ProtoPayload.encode(payload).finish()), cipher.final()];
    return {
      metadata: { encoding: ENCODING, [KEY_ID]: Buffer.from(id) },
      data: Buffer.concat([iv, ...text, cipher.getAuthTag()]),
    };
  }

  function decrypt(payload: Payload): Payload {
    const keyId = keyIdOf(payload);
    const key = byId.get(keyId);
    // One that names no key is broken: nobody can ever be given it.
    if (!key) throw keyId === '' ? new BrokenPayload(keyId) : new UnknownEncryptionKey(keyId);
    try {
      return ProtoPayload.decode(opened(payload.data ?? Buffer.alloc(0), key));
    } catch {
      throw new BrokenPayload(keyId);
    }
  }

  function opened(data: Uint8Array, key: KeyObject): Buffer {
    const tag = data.subarray(-TAG_BYTES);
    const decipher = createDecipheriv(CIPHER, key, data.subarray(0, IV_BYTES), { authTagLength: TAG_BYTES });
    decipher.setAAD(associated).setAuthTag(tag);
    return Buffer.concat([decipher.update(data.subarray(IV_BYTES, -TAG_BYTES)), decipher.final()]);
  }

  return {
    encode: async (payloads) => (current ? payloads.map((payload) => encrypt(payload, current)) : payloads),
    decode: async (payloads) => payloads.map((payload) => (isEncrypted(payload) ? decrypt(payload) : payload)),
  };
}

/** Whether it says so. */
export /** Empty bytes come from the SDK's core as an empty array. */
const isEncrypted = ({ metadata }: Payload): boolean => ENCODING.equals(Buffer.from(metadata?.['encoding'] ?? []));

/** As the payload says: anybody may have written it, so it is cut to what an id can be. */
const keyIdOf = ({ metadata }: Payload): string =>
  Buffer.from(metadata?.[KEY_ID] ?? Buffer.alloc(0))
    .toString()
    .slice(0, 64);

/** What a broken payload is for the workflow sandbox: no converter knows the encoding. */
const UNREADABLE: Payload = { metadata: { encoding: Buffer.from('binary/unreadable') }, data: Buffer.alloc(0) };

/**
 * The codec as a worker has it. A workflow task with a payload whose key is missing fails and is tried again until a
 * worker has the key: what is unreadable here may be readable on the next worker, and both must see the same. A broken
 * payload is broken for everybody, so one that came from outside goes on to the workflow as unreadable, where
 * src/temporal/payloads/workflow-converter.ts decides: a broken signal must not stop it for ever.
 */
export function tolerant({ encode, decode }: PayloadCodec): PayloadCodec {
  return {
    encode,
    decode: async (payloads, context) => {
      const each = payloads.map(async (payload) => {
        try {
          return (await decode([payload], context))[0]!;
        } catch (error) {
          if (error instanceof BrokenPayload && context?.type === 'workflow') return UNREADABLE;
          throw error;
        }
      });
      return await Promise.all(each);
    },
  };
}
