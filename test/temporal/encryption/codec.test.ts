import { randomBytes } from 'node:crypto';
import type { Payload } from '@temporalio/common';
import proto from '@temporalio/proto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  UndecryptablePayload,
  createPayloadCodec,
  createWorkerCodec,
  UnknownEncryptionKey,
} from '../../../src/temporal/encryption/codec.js';
import { encryptionKeys } from '../../../src/temporal/encryption/keys.js';
import { generateEncryptionKey } from '../../support/temporal/encryption.js';

const [oldKey, currentKey] = [generateEncryptionKey('old'), generateEncryptionKey('current')];
const namespace = 'shop';
const codec = createPayloadCodec({ keys: encryptionKeys.parse(currentKey), namespace });
const secret = 'ada@example.com';
const plainPayload = (decodeText = secret): Payload => ({
  metadata: { encoding: Buffer.from('json/plain'), type: Buffer.from('Customer') },
  data: Buffer.from(JSON.stringify(decodeText)),
});
const serialize = (payload: Payload) => Buffer.from(proto.temporal.api.common.v1.Payload.encode(payload).finish());
const firstOf = async (run: Promise<Payload[]>) => (await run)[0]!;
const encryptPlainPayload = () => firstOf(codec.encode([plainPayload()]));
const decodeText = (bytes?: Uint8Array | null) => Buffer.from(bytes ?? []).toString();

describe('the payload codec', () => {
  test('hides data and metadata, and shows only the key id', async () => {
    const stored = await encryptPlainPayload();
    expect(Object.keys(stored.metadata!).sort()).toEqual(['encoding', 'encryption-key-id']);
    expect(decodeText(stored.metadata!.encoding)).toBe('binary/encrypted');
    expect(decodeText(stored.metadata!['encryption-key-id'])).toBe('current');
    for (const hidden of [secret, 'json/plain', 'Customer']) expect(serialize(stored).includes(hidden)).toBe(false);
  });

  test('encrypts the same content differently each time', async () => {
    const [one, two] = await codec.encode([plainPayload(), plainPayload()]);
    expect(Buffer.from(one!.data!).equals(two!.data!)).toBe(false);
    expect(one!.data!.subarray(0, 12)).not.toEqual(two!.data!.subarray(0, 12));
  });

  test('decrypts payloads to the original bytes, in the original order', async () => {
    const bytes = fc.uint8Array({ maxLength: 2_000 });
    const payload = fc.record({ metadata: fc.dictionary(fc.string(), bytes, { noNullPrototype: true }), data: bytes });
    // Includes encrypted payloads, and payloads with the metadata of an encrypted payload but other data.
    await fc.assert(
      fc.asyncProperty(fc.array(payload, { maxLength: 4 }), async (payloads) => {
        const back = await codec.decode(await codec.encode(payloads));
        expect(back.map(serialize)).toEqual(payloads.map(serialize));
      }),
      { numRuns: 100 },
    );
  });

  test('rejects a corrupt or truncated payload with an error that contains only the key id', async () => {
    const { metadata, data } = await encryptPlainPayload();
    const flipBit = (at: number) => Buffer.from(data!.map((byte, index) => (index === at ? byte ^ 1 : byte)));
    const corruptPayload = [...Array(data!.length).keys()].flatMap((at) => [flipBit(at), data!.subarray(0, at)]);
    for (const data of corruptPayload) {
      const opening = codec.decode([{ metadata: metadata!, data }]);
      await expect(opening).rejects.toThrow(UndecryptablePayload);
      await expect(opening).rejects.toThrow('"current"');
      await expect(opening).rejects.not.toThrow(secret);
    }
    await expect(codec.decode([{ metadata: metadata! }])).rejects.toThrow(UndecryptablePayload);
  });

  test('rejects a payload that was encrypted for a different namespace', async () => {
    const other = createPayloadCodec({ keys: encryptionKeys.parse(currentKey), namespace: 'shop2' });
    await expect(other.decode([await encryptPlainPayload()])).rejects.toThrow(UndecryptablePayload);
  });

  test('decrypts a payload of a peer namespace', async () => {
    const keys = encryptionKeys.parse(currentKey);
    const peer = createPayloadCodec({ keys, namespace: 'approvals', peerNamespaces: [namespace] });
    expect(await peer.decode([await encryptPlainPayload()])).toMatchObject([plainPayload()]);
  });

  test('decrypts a payload that another SDK wrote as IV, ciphertext and tag in one byte array', async () => {
    const { key } = encryptionKeys.parse(currentKey)[0]!;
    const subtle = await crypto.subtle.importKey('raw', key.export(), 'AES-GCM', false, ['encrypt']);
    const iv = randomBytes(12);
    const additionalData = Buffer.from('v1:shop');
    const sealed = await crypto.subtle.encrypt(
      { name: 'AES-GCM', iv, additionalData },
      subtle,
      serialize(plainPayload()),
    );
    const metadata = { encoding: Buffer.from('binary/encrypted'), 'encryption-key-id': Buffer.from('current') };
    const back = await firstOf(codec.decode([{ metadata, data: Buffer.concat([iv, Buffer.from(sealed)]) }]));
    expect(serialize(back)).toEqual(serialize(plainPayload()));
  });
});

describe('the payload codec without encryption', () => {
  test('decodes unencrypted payloads unchanged, so that existing workflows can continue', async () => {
    expect(await codec.decode([plainPayload(), {}])).toEqual([plainPayload(), {}]);
  });

  test('does not encrypt payloads if no key is configured', async () => {
    expect(await createPayloadCodec({ keys: [], namespace }).encode([plainPayload()])).toEqual([plainPayload()]);
  });
});

describe('the codec during a key rotation', () => {
  const before = createPayloadCodec({ keys: encryptionKeys.parse(oldKey), namespace });
  const after = createPayloadCodec({ keys: encryptionKeys.parse(`${currentKey},${oldKey}`), namespace });

  test('encrypts with the first key and decrypts with both keys', async () => {
    expect(decodeText((await firstOf(after.encode([plainPayload()]))).metadata!['encryption-key-id'])).toBe('current');
    expect(await firstOf(after.decode(await before.encode([plainPayload()])))).toMatchObject({
      data: plainPayload().data,
    });
  });

  test('decrypts payloads of the new key when the new key is configured after the old key', async () => {
    const prepared = createPayloadCodec({ keys: encryptionKeys.parse(`${oldKey},${currentKey}`), namespace });
    expect(decodeText((await firstOf(prepared.encode([plainPayload()]))).metadata!['encryption-key-id'])).toBe('old');
    expect(await firstOf(prepared.decode(await after.encode([plainPayload()])))).toMatchObject({
      data: plainPayload().data,
    });
  });

  test.each([
    ['removed too early', codec],
    ['unset', createPayloadCodec({ keys: [], namespace })],
  ])(
    'fails with an error that contains only the missing key id if the old key is %s',
    async (_description, without) => {
      const reading = without.decode(await before.encode([plainPayload()]));
      await expect(reading).rejects.toThrow(UnknownEncryptionKey);
      await expect(reading).rejects.toThrow('encrypted with the key "old", which is not in PAYLOAD_ENCRYPTION_KEYS');
    },
  );
});

describe('the codec of a worker', () => {
  const worker = createWorkerCodec(codec);
  const message = { type: 'workflow', namespace, workflowId: 'order:1' } as const;
  const result = { type: 'activity', namespace, workflowId: 'order:1', isLocal: false } as const;
  const corruptPayload = async () => ({ ...(await encryptPlainPayload()), data: randomBytes(64) });

  test('marks a corrupt message as unreadable and decrypts the other messages', async () => {
    const decoded = await worker.decode([await encryptPlainPayload(), await corruptPayload()], message);
    expect(decoded.map(({ metadata }) => decodeText(metadata?.encoding))).toEqual(['json/plain', 'binary/unreadable']);
  });

  test('rejects a corrupt activity result', async () => {
    await expect(worker.decode([await corruptPayload()], result)).rejects.toThrow(UndecryptablePayload);
  });

  test('rejects messages and results with an unknown key, because another worker may have the key', async () => {
    const otherNamespacePayload = await createPayloadCodec({ keys: encryptionKeys.parse(oldKey), namespace }).encode([
      plainPayload(),
    ]);
    for (const context of [message, result])
      await expect(worker.decode(otherNamespacePayload, context)).rejects.toThrow(UnknownEncryptionKey);
  });
});
