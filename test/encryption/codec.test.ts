import { randomBytes } from 'node:crypto';
import type { Payload } from '@temporalio/common';
import proto from '@temporalio/proto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  BrokenPayload,
  createPayloadCodec,
  tolerant,
  UnknownEncryptionKey,
} from '../../src/temporal/encryption/codec.js';
import { encryptionKeys } from '../../src/temporal/encryption/keys.js';
import { aKey } from '../support/encryption.js';

const [old, current] = [aKey('old'), aKey('current')];
const namespace = 'shop';
const codec = createPayloadCodec({ keys: encryptionKeys.parse(current), namespace });
const secret = 'ada@example.com';
const plain = (text = secret): Payload => ({
  metadata: { encoding: Buffer.from('json/plain'), type: Buffer.from('Customer') },
  data: Buffer.from(JSON.stringify(text)),
});
const asStored = (payload: Payload) => Buffer.from(proto.temporal.api.common.v1.Payload.encode(payload).finish());
const one = async (run: Promise<Payload[]>) => (await run)[0]!;
const encrypted = () => one(codec.encode([plain()]));
const text = (bytes?: Uint8Array | null) => Buffer.from(bytes ?? []).toString();

describe('an encrypted payload', () => {
  test('hides data and metadata and shows only the id of its key', async () => {
    const stored = await encrypted();
    expect(Object.keys(stored.metadata!).sort()).toEqual(['encoding', 'encryption-key-id']);
    expect(text(stored.metadata!.encoding)).toBe('binary/encrypted');
    expect(text(stored.metadata!['encryption-key-id'])).toBe('current');
    for (const hidden of [secret, 'json/plain', 'Customer']) expect(asStored(stored).includes(hidden)).toBe(false);
  });

  test('differs each time for the same content', async () => {
    const [one, two] = await codec.encode([plain(), plain()]);
    expect(Buffer.from(one!.data!).equals(two!.data!)).toBe(false);
    expect(one!.data!.subarray(0, 12)).not.toEqual(two!.data!.subarray(0, 12));
  });

  test('decrypts to the same bytes in the same order', async () => {
    const bytes = fc.uint8Array({ maxLength: 2_000 });
    const payload = fc.record({ metadata: fc.dictionary(fc.string(), bytes, { noNullPrototype: true }), data: bytes });
    // Includes payloads that are already encrypted, and payloads whose metadata only claims so.
    await fc.assert(
      fc.asyncProperty(fc.array(payload, { maxLength: 4 }), async (payloads) => {
        const back = await codec.decode(await codec.encode(payloads));
        expect(back.map(asStored)).toEqual(payloads.map(asStored));
      }),
      { numRuns: 100 },
    );
  });

  test('is rejected if a byte was changed or its end is missing, with an error that names only the key', async () => {
    const { metadata, data } = await encrypted();
    const changed = (at: number) => Buffer.from(data!.map((byte, index) => (index === at ? byte ^ 1 : byte)));
    const broken = [...Array(data!.length).keys()].flatMap((at) => [changed(at), data!.subarray(0, at)]);
    for (const data of broken) {
      const opening = codec.decode([{ metadata: metadata!, data }]);
      await expect(opening).rejects.toThrow(BrokenPayload);
      await expect(opening).rejects.toThrow('"current"');
      await expect(opening).rejects.not.toThrow(secret);
    }
    await expect(codec.decode([{ metadata: metadata! }])).rejects.toThrow(BrokenPayload);
  });

  test('is rejected if it comes from another namespace', async () => {
    const other = createPayloadCodec({ keys: encryptionKeys.parse(current), namespace: 'shop2' });
    await expect(other.decode([await encrypted()])).rejects.toThrow(BrokenPayload);
  });

  test('can be decrypted if another SDK wrote it: IV, ciphertext and tag in one', async () => {
    const { key } = encryptionKeys.parse(current)[0]!;
    const subtle = await crypto.subtle.importKey('raw', key.export(), 'AES-GCM', false, ['encrypt']);
    const iv = randomBytes(12);
    const additionalData = Buffer.from('v1:shop');
    const sealed = await crypto.subtle.encrypt({ name: 'AES-GCM', iv, additionalData }, subtle, asStored(plain()));
    const metadata = { encoding: Buffer.from('binary/encrypted'), 'encryption-key-id': Buffer.from('current') };
    const back = await one(codec.decode([{ metadata, data: Buffer.concat([iv, Buffer.from(sealed)]) }]));
    expect(asStored(back)).toEqual(asStored(plain()));
  });
});

describe('an unencrypted payload', () => {
  test('is read unchanged, so that older workflows continue', async () => {
    expect(await codec.decode([plain(), {}])).toEqual([plain(), {}]);
  });

  test('stays unencrypted if there is no key', async () => {
    expect(await createPayloadCodec({ keys: [], namespace }).encode([plain()])).toEqual([plain()]);
  });
});

describe('key rotation', () => {
  const before = createPayloadCodec({ keys: encryptionKeys.parse(old), namespace });
  const after = createPayloadCodec({ keys: encryptionKeys.parse(`${current},${old}`), namespace });

  test('encrypts with the first key and decrypts with both keys', async () => {
    expect(text((await one(after.encode([plain()]))).metadata!['encryption-key-id'])).toBe('current');
    expect(await one(after.decode(await before.encode([plain()])))).toMatchObject({ data: plain().data });
  });

  test("reads the new key's payloads everywhere if the new key is first added behind the old one", async () => {
    const prepared = createPayloadCodec({ keys: encryptionKeys.parse(`${old},${current}`), namespace });
    expect(text((await one(prepared.encode([plain()]))).metadata!['encryption-key-id'])).toBe('old');
    expect(await one(prepared.decode(await after.encode([plain()])))).toMatchObject({ data: plain().data });
  });

  test.each([
    ['removed too early', codec],
    ['unset', createPayloadCodec({ keys: [], namespace })],
  ])('names only the missing key in the error if the old key is %s', async (_how, without) => {
    const reading = without.decode(await before.encode([plain()]));
    await expect(reading).rejects.toThrow(UnknownEncryptionKey);
    await expect(reading).rejects.toThrow('encrypted with the key "old", which is not in PAYLOAD_ENCRYPTION_KEYS');
  });
});

describe('the codec of a worker', () => {
  const worker = tolerant(codec);
  const message = { type: 'workflow', namespace, workflowId: 'order:1' } as const;
  const result = { type: 'activity', namespace, workflowId: 'order:1', isLocal: false } as const;
  const broken = async () => ({ ...(await encrypted()), data: randomBytes(64) });

  test('marks a broken message as unreadable and decrypts the others', async () => {
    const decoded = await worker.decode([await encrypted(), await broken()], message);
    expect(decoded.map(({ metadata }) => text(metadata?.encoding))).toEqual(['json/plain', 'binary/unreadable']);
  });

  test('rejects a broken activity result', async () => {
    await expect(worker.decode([await broken()], result)).rejects.toThrow(BrokenPayload);
  });

  test('rejects everything with an unknown key, even messages, because another worker may have the key', async () => {
    const foreign = await createPayloadCodec({ keys: encryptionKeys.parse(old), namespace }).encode([plain()]);
    for (const context of [message, result])
      await expect(worker.decode(foreign, context)).rejects.toThrow(UnknownEncryptionKey);
  });
});
