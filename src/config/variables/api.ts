import { z } from 'zod';
import { apiKeys } from '../../schemas/api-key.js';
import {
  httpsUrl,
  httpUrl,
  integer,
  jsonOf,
  nonEmptyText,
  origins,
  plainSecrets,
  port,
  titledLinks,
  workflowUrlTemplate,
} from '../parsers.js';
import type { VariableDeclaration } from './declaration.js';

/** Variables of the HTTP API: address, authentication, browsers and limits. */
export const API_VARIABLES = {
  HOST: {
    schema: nonEmptyText.default('127.0.0.1'),
    description: 'The address on which the API listens.',
    example: '127.0.0.1',
    readBy: ['api'],
  },
  PORT: {
    schema: port.default(3000),
    description: 'The port on which the API listens.',
    example: '3000',
    readBy: ['api'],
  },
  API_KEYS: {
    schema: jsonOf(apiKeys).optional(),
    description:
      'The API keys as JSON: the owner, the roles and the SHA-256 hashes of each key. If `HOST` is not a loopback address, API_KEYS or JWT_ISSUER is required.',
    example: `'[{"id":"ada","roles":["shopper"],"hashes":["…"]}]', as npm run api-key prints it`,
    readBy: ['api'],
    secret: true,
  },
  JWT_ISSUER: {
    schema: nonEmptyText.optional(),
    description: 'The issuer of accepted access tokens. Set JWT_ISSUER, JWT_AUDIENCE and JWT_JWKS_URL together.',
    example: 'https://login.example.com/',
    readBy: ['api'],
  },
  JWT_AUDIENCE: {
    schema: nonEmptyText.optional(),
    description: 'The audience of accepted access tokens.',
    example: 'https://shop.example.com',
    readBy: ['api'],
  },
  JWT_JWKS_URL: {
    schema: httpsUrl.optional(),
    description: 'The URL of the public keys of the token issuer. http is allowed only on loopback.',
    example: 'https://login.example.com/.well-known/jwks.json',
    readBy: ['api'],
  },
  JWT_ID_CLAIM: {
    schema: nonEmptyText.default('sub'),
    description: 'The claim with the id of the caller.',
    example: 'sub',
    readBy: ['api'],
  },
  JWT_ROLES_CLAIM: {
    schema: nonEmptyText.default('roles'),
    description: 'The claim with the roles of the caller. A dot separates nested claims.',
    example: 'realm_access.roles',
    readBy: ['api'],
  },
  OIDC_CLIENT_ID: {
    schema: nonEmptyText.optional(),
    description:
      'The id of the console as a client of JWT_ISSUER. The sign-in page then offers a sign-in with this provider. The redirect URI of the client is `https://<host of the API>/console/sign-in/callback`.',
    example: 'shop-console',
    readBy: ['api'],
  },
  OIDC_CLIENT_SECRET: {
    schema: nonEmptyText.optional(),
    description: 'The secret of the client OIDC_CLIENT_ID. Not set for a public client.',
    example: 'the secret that the provider shows for the client',
    readBy: ['api'],
    secret: true,
  },
  OIDC_SCOPE: {
    schema: z
      .string()
      .regex(/^(\S+ )*openid( \S+)*$/, 'must be scopes separated by spaces, with openid')
      .meta({ values: 'scopes separated by spaces, with `openid`' })
      .default('openid'),
    description:
      'The scopes that the sign-in requests from the provider. The tokens need the claims JWT_ID_CLAIM and JWT_ROLES_CLAIM.',
    example: 'openid email roles',
    readBy: ['api'],
  },
  CURSOR_SECRET: {
    schema: plainSecrets,
    description:
      'Signs list cursors and the sessions of browsers. One secret, or two separated by a comma during a rotation.',
    example: '$(openssl rand -hex 32)',
    readBy: ['api'],
    secret: true,
  },
  CORS_ORIGINS: {
    schema: origins.default([]),
    description: 'The origins of web pages that can call the API.',
    example: 'https://shop.example.com',
    readBy: ['api'],
  },
  CODEC_ORIGINS: {
    schema: origins.default([]),
    description: 'The origins of Temporal Web UIs that can decrypt payloads through the API.',
    example: 'https://temporal.example.com',
    readBy: ['api'],
  },
  TEMPORAL_UI_URL: {
    schema: httpUrl.optional(),
    description: 'The URL of the Temporal Web UI. The console links to the workflows there.',
    example: 'https://temporal.example.com',
    readBy: ['api'],
  },
  TRACE_URL: {
    schema: workflowUrlTemplate.optional(),
    description:
      'The URL that finds the traces of a workflow, for links of the console. The API replaces `{workflowId}` by the encoded workflow id, which spans have as the attribute `temporalWorkflowId`.',
    example:
      'http://127.0.0.1:16686/search?service=shop-worker&lookback=2d&tags=%7B%22temporalWorkflowId%22%3A%22{workflowId}%22%7D',
    readBy: ['api'],
  },
  LOGS_URL: {
    schema: workflowUrlTemplate.optional(),
    description:
      'The URL that finds the log lines of a workflow, for links of the console. The API replaces `{workflowId}` by the encoded workflow id, which log lines have as the field `workflowId`.',
    example: 'https://logs.example.com/search?q=workflowId%3A%22{workflowId}%22',
    readBy: ['api'],
  },
  HSTS_MAX_AGE: {
    schema: integer(0, 2 ** 31 - 1).default(0),
    description: 'How long browsers must use only https, in seconds. For an API behind TLS.',
    example: '31536000',
    readBy: ['api'],
  },
  RATE_LIMIT_PER_MINUTE: {
    schema: integer(1, 10_000_000).default(6_000),
    description:
      'Maximum number of requests per minute of one caller to one process. Not applied without authentication.',
    example: '6000',
    readBy: ['api'],
  },
  MAX_EVENT_LOOP_DELAY_MS: {
    schema: integer(1, 60_000).default(1_000),
    description: 'The delay of the event loop, in milliseconds, above which the API rejects requests with 503.',
    example: '1000',
    readBy: ['api'],
  },
  BATCH_MAX_BYTES: {
    schema: integer(1, 2 ** 40).default(2 ** 30),
    description: 'Maximum size of an upload, in bytes.',
    example: '1073741824',
    readBy: ['api'],
  },
  BATCH_MAX_LINE_LENGTH: {
    schema: integer(1, 2 ** 20).default(16_384),
    description: 'Maximum length of a line of an upload, in characters.',
    example: '16384',
    readBy: ['api'],
  },
  BATCH_MAX_UPLOADS: {
    schema: integer(1, 1_000).default(16),
    description: 'Maximum number of concurrent uploads to one process. An upload needs a few megabytes of memory.',
    example: '16',
    readBy: ['api'],
  },
  BATCH_MAX_UPLOADS_PER_CALLER: {
    schema: integer(1, 1_000).default(4),
    description:
      'Maximum number of concurrent uploads of one caller to one process. Set it lower than BATCH_MAX_UPLOADS, so that one caller cannot block the other callers.',
    example: '4',
    readBy: ['api'],
  },
  BATCH_MIN_BYTES_PER_SECOND: {
    schema: integer(1, 2 ** 30).default(16_384),
    description: 'The API responds with 408 to an upload that is slower than this for 30 seconds, in bytes per second.',
    example: '16384',
    readBy: ['api'],
  },
  CONSOLE_LINKS: {
    schema: titledLinks.default([]),
    description: 'Links that the first page of the console shows to operators.',
    example: `'Dashboards=https://grafana.example.com,Runbook=https://wiki.example.com/shop'`,
    readBy: ['api'],
  },
} as const satisfies Record<string, VariableDeclaration>;
