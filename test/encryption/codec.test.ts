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
  test('when it is stored, then neither its data nor its metadata can be read, only which key it needs', async () => {
    const stored = await encrypted();
    expect(Object.keys(stored.metadata!).sort()).toEqual(['encoding', 'encryption-key-id']);
    expect(text(stored.metadata!.encoding)).toBe('binary/encrypted');
    expect(text(stored.metadata!['encryption-key-id'])).toBe('current');
    for (const hidden of [secret, 'json/plain', 'Customer']) expect(asStored(stored).includes(hidden)).toBe(false);
  });

  test('when the same is encrypted twice, then nobody sees that it is the same', async () => {
    const [one, two] = await codec.encode([plain(), plain()]);
    expect(Buffer.from(one!.data!).equals(two!.data!)).toBe(false);
    expect(one!.data!.subarray(0, 12)).not.toEqual(two!.data!.subarray(0, 12));
  });

  test('when any payload is encrypted, then decrypting gives it back to the byte, in order', async () => {
    const bytes = fc.uint8Array({ maxLength: 2_000 });
    const payload = fc.record({ metadata: fc.dictionary(fc.string(), bytes, { noNullPrototype: true }), data: bytes });
    // What is encrypted already may be encrypted again, and what says so and is not, is not ours to make up.
    await fc.assert(
      fc.asyncProperty(fc.array(payload, { maxLength: 4 }), async (payloads) => {
        const back = await codec.decode(await codec.encode(payloads));
        expect(back.map(asStored)).toEqual(payloads.map(asStored));
      }),
      { numRuns: 100 },
    );
  });

  test('when any of its bytes is changed, or its end is missing, then it is refused, by the name of the key alone', async () => {
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

  test('when it comes from another namespace, then it is refused', async () => {
    const other = createPayloadCodec({ keys: encryptionKeys.parse(current), namespace: 'shop2' });
    await expect(other.decode([await encrypted()])).rejects.toThrow(BrokenPayload);
  });

  test('when the bytes are those of another SDK, then they open: an IV, the ciphertext and its tag in one', async () => {
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

describe('a payload that is not encrypted', () => {
  test('when it is read, then it passes as it is, so that what was started before goes on', async () => {
    expect(await codec.decode([plain(), {}])).toEqual([plain(), {}]);
  });

  test('when there is no key, then nothing is encrypted', async () => {
    expect(await createPayloadCodec({ keys: [], namespace }).encode([plain()])).toEqual([plain()]);
  });
});

describe('one key after another', () => {
  const before = createPayloadCodec({ keys: encryptionKeys.parse(old), namespace });
  const after = createPayloadCodec({ keys: encryptionKeys.parse(`${current},${old}`), namespace });

  test('when a new key is put before the old one, then it encrypts, and what the old one encrypted is still read', async () => {
    expect(text((await one(after.encode([plain()]))).metadata!['encryption-key-id'])).toBe('current');
    expect(await one(after.decode(await before.encode([plain()])))).toMatchObject({ data: plain().data });
  });

  test('when a new key is put behind the old one first, then everybody reads what the first to change writes', async () => {
    const prepared = createPayloadCodec({ keys: encryptionKeys.parse(`${old},${current}`), namespace });
    expect(text((await one(prepared.encode([plain()]))).metadata!['encryption-key-id'])).toBe('old');
    expect(await one(prepared.decode(await after.encode([plain()])))).toMatchObject({ data: plain().data });
  });

  test.each([
    ['gone too early', codec],
    ['unset', createPayloadCodec({ keys: [], namespace })],
  ])('when the old key is %s, then the error names it and nothing else', async (_how, without) => {
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

  test('when a message is broken, then it goes on as unreadable, and the others as they are', async () => {
    const decoded = await worker.decode([await encrypted(), await broken()], message);
    expect(decoded.map(({ metadata }) => text(metadata?.encoding))).toEqual(['json/plain', 'binary/unreadable']);
  });

  test('when the result of an activity is broken, then it is refused', async () => {
    await expect(worker.decode([await broken()], result)).rejects.toThrow(BrokenPayload);
  });

  test('when a key is missing, then everything is refused, also messages: another worker may have it', async () => {
    const foreign = await createPayloadCodec({ keys: encryptionKeys.parse(old), namespace }).encode([plain()]);
    for (const context of [message, result])
      await expect(worker.decode(foreign, context)).rejects.toThrow(UnknownEncryptionKey);
  });
});
