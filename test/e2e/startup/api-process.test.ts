import { connect } from 'node:net';
import { describe, expect, test } from 'vitest';
import { createApiKey } from '../../../src/api/plugins/auth/api-keys.js';
import { freePort, startProcess, typescriptCommand, waitUntil } from '../../support/processes.js';

/** What the log says of an API without authentication. */
const OPEN_WARNING = 'no authentication: neither API_KEYS nor JWT_ISSUER is set';

const secret = `whsec_${'c2VjcmV0'.repeat(5)}`;

/** Starts the API in its own process, like in production, but without Temporal and a database. */
async function start(env: Record<string, string>) {
  const port = await freePort();
  const lines: string[] = [];
  const api = await startProcess({
    name: 'api',
    ...typescriptCommand('src/api/server.ts'),
    env: {
      DATABASE_URL: 'postgres://u:p@127.0.0.1:1/none',
      TEMPORAL_ADDRESS: '127.0.0.1:1',
      PORT: String(port),
      CARRIER_WEBHOOK_SECRET: secret,
      APPROVAL_WEBHOOK_SECRET: secret,
      LOG_LEVEL: 'info',
      APPROVAL_LINK_SECRET: 'l'.repeat(32),
      CURSOR_SECRET: 'c'.repeat(32),
      HOST: '127.0.0.1',
      ...env,
    },
    onLine: (line) => lines.push(line),
  });
  return { api, lines, url: `http://127.0.0.1:${port}` };
}

const isAlive = (url: string) =>
  waitUntil(() => fetch(`${url}/livez`).then(({ ok }) => ok || undefined), {
    description: 'the API',
    timeoutMs: 60_000,
  });

describe.concurrent('the API process', () => {
  test('the API process exits and logs the missing setting when HOST=0.0.0.0 and no authentication is configured', async () => {
    const { api, lines } = await start({ HOST: '0.0.0.0' });
    try {
      expect((await api.exited).code).toBe(1);
      expect(lines.join('\n')).toMatch(/API_KEYS: API_KEYS or JWT_ISSUER must be set.*example: API_KEYS=/);
    } finally {
      await api.stop();
    }
  });

  test('the API processes a request whose connection was open when the shutdown began', async () => {
    const { api, lines, url } = await start({});
    try {
      await isAlive(url);
      const socket = connect(Number(new URL(url).port), '127.0.0.1').setEncoding('utf8');
      const chunks: string[] = [];
      socket.on('data', (chunk: string) => chunks.push(chunk));
      const closed = new Promise((resolve) => socket.on('close', resolve));
      socket.write('GET /livez HTTP/1.1\r\nhost: 127.0.0.1\r\n');
      // The response shows that the API has read the first half of the request.
      expect((await fetch(`${url}/livez`)).status).toBe(200);
      api.kill('SIGTERM');
      await waitUntil(() => lines.find((line) => line.includes('"msg":"closing"')), {
        description: 'the shutdown',
        timeoutMs: 10_000,
      });
      socket.write('\r\n');
      await closed;
      expect(chunks.join('')).toMatch(/^HTTP\/1\.1 200 .*\r\nx-request-id: .*\{"status":"ok"\}$/is);
      expect((await api.exited).code).toBe(0);
    } finally {
      await api.stop();
    }
  });

  test('without API keys, the API on loopback logs a warning and authenticates no caller', async () => {
    const { api, lines, url } = await start({});
    try {
      await isAlive(url);
      expect(lines.filter((line) => line.includes(OPEN_WARNING))).toHaveLength(1);
      expect((await fetch(`${url}/v1/orders?limit=0`)).status).toBe(400);
    } finally {
      await api.stop();
    }
  });

  test('with API keys, the API listens on all addresses, requires a key and logs no warning', async () => {
    const { key, hash } = createApiKey();
    const API_KEYS = JSON.stringify([{ id: 'ada', roles: ['shopper'], hashes: [hash] }]);
    const { api, lines, url } = await start({ HOST: '0.0.0.0', API_KEYS });
    try {
      await isAlive(url);
      expect((await fetch(`${url}/v1/orders?limit=0`)).status).toBe(401);
      expect((await fetch(`${url}/v1/orders?limit=0`, { headers: { 'x-api-key': key } })).status).toBe(400);
      expect((await fetch(`${url}/v1/orders?limit=0`, { headers: { authorization: `Bearer ${key}` } })).status).toBe(
        400,
      );
      expect(lines.join('\n')).not.toContain(OPEN_WARNING);
      for (const hidden of [key, hash]) expect(lines.join('\n')).not.toContain(hidden);
    } finally {
      await api.stop();
    }
  });
});
