import type { Payload, PayloadCodec } from '@temporalio/common';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { UndecryptablePayload, isEncrypted, UnknownEncryptionKey } from '../../temporal/encryption/codec.js';
import { payloads, type JsonPayload } from '../../schemas/codec.js';
import type { AppDependencies } from '../app.js';
import { withContract } from '../http/route-contract.js';
import { sendError } from '../plugins/error-handler.js';
import { bodyTooLarge, httpProblem, invalidRequest } from '../problems/http-problem.js';
import { MAX_CODEC_BODY_BYTES } from '../limits.js';

const ACTIONS = {
  encode: {
    operationId: 'encodePayloads',
    summary: 'Encrypt payloads',
    description: 'What the CLI sends through it (`--codec-endpoint`) is stored encrypted.',
  },
  decode: {
    operationId: 'decodePayloads',
    summary: 'Decrypt payloads',
    description:
      'How the Web UI and the CLI show what is stored encrypted. What is not encrypted, or cannot be decrypted while others can, comes back as it is.',
  },
} as const;

/**
 * The codec of the Temporal Web UI and CLI, with their protocol. The log records the caller and the number of payloads,
 * but not their content.
 */
export async function codecRoutes(
  instance: FastifyInstance,
  { client, codec }: Pick<AppDependencies, 'client'> & { codec: PayloadCodec },
): Promise<void> {
  const app = instance.withTypeProvider<ZodTypeProvider>();
  const { namespace } = client.options;
  app.setErrorHandler((error: { code?: string }, request, reply) =>
    sendError(error.code === 'FST_ERR_CTP_BODY_TOO_LARGE' ? bodyTooLarge(MAX_CODEC_BODY_BYTES) : error, request, reply),
  );

  for (const action of ['encode', 'decode'] as const) {
    app.post(
      `/${action}`,
      {
        ...withContract({
          ...ACTIONS[action],
          tag: 'Payloads',
          access: ['inspector'],
          acceptsSession: true,
          ...(action === 'decode' && { problems: ['unreadable-payload'] }),
        }),
        bodyLimit: MAX_CODEC_BODY_BYTES,
        schema: {
          headers: z.looseObject({
            'x-namespace': z
              .string()
              .optional()
              .meta({
                description: 'The namespace of this API. The CLI leaves it empty unless told.',
                examples: ['default'],
              }),
          }),
          body: payloads,
          response: { 200: payloads },
        },
      },
      async (request) => {
        assertNamespace(request, namespace);
        const given = request.body.payloads;
        const answered = await (action === 'encode'
          ? codec.encode(given.map(fromJson))
          : decodeReadable(given.map(fromJson), codec));
        request.log.info({ caller: request.caller.id, payloads: given.length }, `${action}d payloads`);
        return { payloads: answered.map(toJson) };
      },
    );
  }
}

/** @throws 400 for another namespace. */
function assertNamespace({ headers }: FastifyRequest, namespace: string): void {
  if (!headers['x-namespace'] || headers['x-namespace'] === namespace) return;
  throw invalidRequest([{ pointer: '/x-namespace', detail: `must be ${namespace}: no other is encrypted here` }]);
}

/**
 * Decodes every payload that can be decoded. A request contains the payloads of a whole history, and an unreadable
 * payload must not hide the readable ones.
 *
 * @throws 422 when none of the encrypted payloads can be decrypted.
 */
async function decodeReadable(payloads: Payload[], codec: PayloadCodec): Promise<Payload[]> {
  const problems: string[] = [];
  const answered = payloads.map(async (payload) => {
    try {
      return (await codec.decode([payload]))[0]!;
    } catch (error) {
      if (!(error instanceof UndecryptablePayload || error instanceof UnknownEncryptionKey)) throw error;
      problems.push(error.message);
      return payload;
    }
  });
  const all = await Promise.all(answered);
  const [problem] = problems;
  if (problem !== undefined && problems.length === payloads.filter(isEncrypted).length)
    throw httpProblem('unreadable-payload', problem);
  return all;
}

const fromBase64 = (base64: string) => Buffer.from(base64, 'base64');
const toBase64 = (bytes?: Uint8Array | null) => Buffer.from(bytes ?? []).toString('base64');

const fromJson = ({ metadata = {}, data = '' }: JsonPayload): Payload => ({
  metadata: Object.fromEntries(Object.entries(metadata).map(([name, value]) => [name, fromBase64(value)])),
  data: fromBase64(data),
});

/** The JSON format of Protobuf, which omits empty data. */
const toJson = ({ metadata, data }: Payload): JsonPayload => ({
  metadata: Object.fromEntries(Object.entries(metadata ?? {}).map(([name, value]) => [name, toBase64(value)])),
  ...(data?.length && { data: toBase64(data) }),
});
