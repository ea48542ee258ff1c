import type { Payload, PayloadCodec } from '@temporalio/common';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { UndecryptablePayload, isEncrypted, UnknownEncryptionKey } from '../../temporal/encryption/codec.js';
import { payloads, type JsonPayload } from '../../schemas/codec.js';
import { approvalClientsOf, type ShopClients } from '../../temporal/client/approval-clients.js';
import { CONSOLE_PATH, withConsoleContract } from '../console/contract.js';
import { ACCOUNT_PATH } from '../console/sign-in/paths.js';
import { withContract } from '../http/route-contract.js';
import { sendError } from '../problems/send-problem.js';
import { bodyTooLarge, httpProblem, invalidRequest } from '../problems/http-problem.js';
import { MAX_CODEC_BODY_BYTES } from '../limits.js';

const ACTIONS = {
  encode: {
    operationId: 'encodePayloads',
    summary: 'Encrypt payloads',
    description: 'The CLI (`--codec-endpoint`) uses this to send encrypted payloads.',
  },
  decode: {
    operationId: 'decodePayloads',
    summary: 'Decrypt payloads',
    description:
      'The Web UI and the CLI use this to show encrypted payloads. Payloads that are not encrypted are returned unchanged. Encrypted payloads that cannot be decrypted are also returned unchanged, but if none can be decrypted, the API returns 422.',
  },
} as const;

/**
 * Serves the codec protocol of the Temporal Web UI and CLI. The log records the caller and the number of payloads, but
 * not their content.
 */
export async function codecRoutes(
  instance: FastifyInstance,
  { codec, ...clients }: ShopClients & { codec: PayloadCodec },
): Promise<void> {
  const app = instance.withTypeProvider<ZodTypeProvider>();
  const namespaces = approvalClientsOf(clients).map(({ options }) => options.namespace);
  app.setErrorHandler((error: { code?: string }, request, reply) =>
    sendError(error.code === 'FST_ERR_CTP_BODY_TOO_LARGE' ? bodyTooLarge(MAX_CODEC_BODY_BYTES) : error, request, reply),
  );

  app.get(
    '/session',
    withConsoleContract({ operationId: 'openCodecSession', summary: 'Redirect to the account page', access: 'public' }),
    async (_request, reply) => reply.redirect(CONSOLE_PATH + ACCOUNT_PATH, 303),
  );

  for (const action of ['encode', 'decode'] as const) {
    app.post(
      `/${action}`,
      {
        ...withContract({
          ...ACTIONS[action],
          tag: 'Payloads',
          access: ['inspector'],
          acceptsSession: 'codec',
          changesState: false,
          ...(action === 'decode' && { problems: ['unreadable-payload'] }),
        }),
        bodyLimit: MAX_CODEC_BODY_BYTES,
        schema: {
          headers: z.looseObject({
            'x-namespace': z
              .string()
              .optional()
              .meta({
                description: 'The namespace of this API. The CLI sends an empty header by default.',
                examples: ['default'],
              }),
          }),
          body: payloads,
          response: { 200: payloads },
        },
      },
      async (request) => {
        assertNamespace(request, namespaces);
        const input = request.body.payloads.map(fromJson);
        const output = await (action === 'encode' ? codec.encode(input) : decodeReadable(input, codec));
        request.log.info({ caller: request.caller.id, payloads: input.length }, `${action}d payloads`);
        return { payloads: output.map(toJson) };
      },
    );
  }
}

/** @throws 400 for another namespace. */
function assertNamespace({ headers }: FastifyRequest, namespaces: readonly string[]): void {
  const namespace = headers['x-namespace'];
  if (!namespace || namespaces.some((each) => each === namespace)) return;
  const detail = `must be ${namespaces.join(' or ')}, the namespace of this API`;
  throw invalidRequest([{ pointer: '/x-namespace', detail }]);
}

/**
 * Decodes every payload that can be decoded, because one unreadable payload of a request must not hide the readable
 * payloads.
 *
 * @throws 422 when none of the encrypted payloads can be decrypted.
 */
async function decodeReadable(payloads: Payload[], codec: PayloadCodec): Promise<Payload[]> {
  const problems: string[] = [];
  const decoding = payloads.map(async (payload) => {
    try {
      return (await codec.decode([payload]))[0]!;
    } catch (error) {
      if (!(error instanceof UndecryptablePayload || error instanceof UnknownEncryptionKey)) throw error;
      problems.push(error.message);
      return payload;
    }
  });
  const decoded = await Promise.all(decoding);
  const [problem] = problems;
  if (problem !== undefined && problems.length === payloads.filter(isEncrypted).length)
    throw httpProblem('unreadable-payload', problem);
  return decoded;
}

const fromBase64 = (base64: string) => Buffer.from(base64, 'base64');
const toBase64 = (bytes?: Uint8Array | null) => Buffer.from(bytes ?? []).toString('base64');

const fromJson = ({ metadata = {}, data = '' }: JsonPayload): Payload => ({
  metadata: Object.fromEntries(Object.entries(metadata).map(([name, value]) => [name, fromBase64(value)])),
  data: fromBase64(data),
});

/** Formats a payload as Protobuf JSON, which omits empty data. */
const toJson = ({ metadata, data }: Payload): JsonPayload => ({
  metadata: Object.fromEntries(Object.entries(metadata ?? {}).map(([name, value]) => [name, toBase64(value)])),
  ...(data?.length && { data: toBase64(data) }),
});
