import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { APP_ROLE } from '../../../tools/servers/postgres/temporary-database.js';
import { silentReporter } from '../../../tools/terminal/reporter.js';
import { startTemporaryCluster, type TemporaryCluster } from '../../../tools/servers/temporal/temporary-cluster.js';
import { loadConfig } from '../../../src/config/read.js';
import { openWorkerConnection, createClient } from '../../../src/temporal/connections.js';
import { readBalance } from '../../support/shop/balance.js';
import { startProcess, typescriptCommand, unsetShellVariables } from '../../support/processes.js';
import { startApi } from '../../support/api/api.js';
import {
  createCertificateAuthority,
  type CertificateAuthority,
  type Certificate,
} from '../../support/temporal/certificates.js';
import {
  createSigningKey,
  startTokenIssuer,
  type TokenIssuer,
  type SigningKey,
} from '../../support/network/token-issuer.js';
import { createDatabase } from '../../support/database/database.js';
import { makeOrder, addProduct, startShop } from '../../support/shop/shop.js';

const NAMESPACE = 'shop';
/** Timeout of a connection. On loopback, a connection takes about a hundredth of this time. */
const DEADLINE_MS = 4_000;
const BOTH_CONNECTED = { client: 'connected', worker: 'connected' };

const found = inject('temporalPrograms');
const title = 'a Temporal server that requires a client certificate and an API key';
const describeIfFound = 'missing' in found ? describe.skip : describe;

describeIfFound('missing' in found ? `${title} (skipped, there is no such server: ${found.missing})` : title, () => {
  let folder: string;
  let authority: CertificateAuthority;
  let client: Certificate;
  let issuer: TokenIssuer;
  let signingKey: SigningKey;
  let cluster: TemporaryCluster;
  let apiKey: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'temporal-tls-'));
    authority = await createCertificateAuthority(folder, 'authority');
    client = await authority.sign('client');
    const server = await authority.sign('server');
    issuer = await startTokenIssuer();
    signingKey = await createSigningKey('temporal');
    issuer.publishKeys(signingKey);
    apiKey = await issuer.createToken(signingKey, { permissions: ['temporal-system:admin'] });
    await writeFile(join(folder, 'api-key'), `${apiKey}\n`);
    cluster = await startTemporaryCluster(silentReporter, {
      security: {
        env: {
          TEMPORAL_TLS_REQUIRE_CLIENT_AUTH: 'true',
          TEMPORAL_TLS_SERVER_CA_CERT: authority.certFile,
          TEMPORAL_TLS_CLIENT1_CA_CERT: authority.certFile,
          TEMPORAL_TLS_CLIENT2_CA_CERT: authority.certFile,
          TEMPORAL_TLS_FRONTEND_CERT: server.certFile,
          TEMPORAL_TLS_FRONTEND_KEY: server.keyFile,
          TEMPORAL_TLS_FRONTEND_SERVER_NAME: 'localhost',
          TEMPORAL_TLS_SERVER_CERT: server.certFile,
          TEMPORAL_TLS_SERVER_KEY: server.keyFile,
          TEMPORAL_TLS_INTERNODE_SERVER_NAME: 'localhost',
          // The server's own worker has no API key, so it uses the internal frontend.
          USE_INTERNAL_FRONTEND: 'true',
          TEMPORAL_SERVICES: 'frontend,internal-frontend,history,matching,worker',
          TEMPORAL_AUTH_AUTHORIZER: 'default',
          TEMPORAL_AUTH_CLAIM_MAPPER: 'default',
          TEMPORAL_JWT_KEY_SOURCE1: issuer.settings.jwksUrl,
        },
        credentials: {
          tls: {
            serverRootCACertificate: Buffer.from(authority.cert),
            clientCertPair: { crt: Buffer.from(client.cert), key: Buffer.from(client.key) },
          },
          apiKey,
        },
      },
    });
  }, 120_000);
  afterAll(async () => {
    await cluster?.stop();
    await issuer?.close();
    if (folder) await rm(folder, { recursive: true, force: true });
  });

  type Environment = Partial<Record<string, string>>;
  const environment = (changes: Environment = {}): Environment => ({
    TEMPORAL_ADDRESS: cluster.sharedServers.address,
    TEMPORAL_NAMESPACE: NAMESPACE,
    TEMPORAL_API_KEY_FILE: join(folder, 'api-key'),
    TEMPORAL_TLS_SERVER_CA_CERT_PATH: authority.certFile,
    TEMPORAL_TLS_CLIENT_CERT_PATH: client.certFile,
    TEMPORAL_TLS_CLIENT_KEY_PATH: client.keyFile,
    ...changes,
  });

  /** Connects a client and a worker with this environment. @returns both outcomes. */
  async function connectsWith(env: Environment) {
    const config = loadConfig('replay', env);
    const request = { namespace: NAMESPACE };
    const { connection } = createClient(config);
    const [client, worker] = await Promise.all([
      connection
        .withDeadline(Date.now() + DEADLINE_MS, () => connection.workflowService.describeNamespace(request))
        .then(() => 'connected', reasonOf)
        .finally(() => connection.close()),
      openWorkerConnection(config)
        .then((native) => native.workflowService.describeNamespace(request).finally(() => native.close()))
        .then(
          () => 'connected',
          () => 'refused',
        ),
    ]);
    return { client, worker };
  }

  test('setup, worker and API run with a client certificate and an API key', { timeout: 60_000 }, async () => {
    const database = await createDatabase();
    const setup = await startProcess({
      name: 'setup',
      ...typescriptCommand('src/setup.ts'),
      env: { ...unsetShellVariables, ...environment(), DATABASE_URL: database.url, DATABASE_APP_ROLE: APP_ROLE },
    });
    expect(await setup.exited, setup.lastOutput()).toEqual({ code: 0, signal: null });
    expect(setup.lastOutput()).not.toContain(apiKey);
    await database.drop();

    const config = loadConfig('replay', environment());
    const temporal = createClient(config);
    const nativeConnection = await openWorkerConnection(config);
    const shop = await startShop(
      {
        client: temporal,
        nativeConnection,
        namespace: NAMESPACE,
        close: () => Promise.all([nativeConnection.close(), temporal.connection.close()]).then(() => undefined),
      },
      { queues: ['orders', 'payments'] },
    );
    const api = await startApi(shop);
    try {
      const product = await addProduct(shop.store);
      const order = makeOrder({ lines: [{ sku: product.sku, quantity: 1 }] });
      expect((await api.post('/v1/orders', order)).status).toBe(202);
      await api.waitForOrderStage(order.orderId, 'awaiting_pickup');
      const sale = { orderId: order.orderId, products: [product], lines: order.lines, token: order.payment.token };
      expect(await readBalance(shop, sale)).toMatchObject({ verdict: 'sold' });
    } finally {
      await api.close();
      await shop.close();
    }
  });

  test('client and worker connect with a profile in a configuration file', async () => {
    const file = join(folder, 'temporal.toml');
    await writeFile(
      file,
      `[profile.shop]
      address = "${cluster.sharedServers.address}"
      namespace = "${NAMESPACE}"
      api_key = "${apiKey}"
      [profile.shop.tls]
      server_ca_cert_path = "${authority.certFile}"
      client_cert_path = "${client.certFile}"
      client_key_path = "${client.keyFile}"`,
    );
    const env = { TEMPORAL_CONFIG_FILE: file, TEMPORAL_PROFILE: 'shop' };
    expect(await connectsWith(env)).toEqual(BOTH_CONNECTED);
    expect(loadConfig('replay', env).TEMPORAL_NAMESPACE).toBe(NAMESPACE);
  });

  test('the server rejects a client and a worker without a valid API key', async () => {
    const ofAnother = await issuer.createToken(await createSigningKey('temporal'), {
      permissions: ['temporal-system:admin'],
    });
    const denied = { client: 'PERMISSION_DENIED', worker: 'refused' };
    expect(await connectsWith(environment())).toEqual(BOTH_CONNECTED);
    expect(await connectsWith(environment({ TEMPORAL_API_KEY_FILE: undefined }))).toEqual(denied);
    expect(await connectsWith(environment({ TEMPORAL_API_KEY_FILE: undefined, TEMPORAL_API_KEY: ofAnother }))).toEqual(
      denied,
    );
  });

  test('the server rejects a client and a worker without TLS or without a certificate of its authority', async () => {
    const otherCaller = await createCertificateAuthority(folder, 'stranger');
    const { certFile, keyFile } = await otherCaller.sign('strange-client');
    const changes: Environment[] = [
      { TEMPORAL_TLS_CLIENT_CERT_PATH: undefined, TEMPORAL_TLS_CLIENT_KEY_PATH: undefined },
      { TEMPORAL_TLS_CLIENT_CERT_PATH: certFile, TEMPORAL_TLS_CLIENT_KEY_PATH: keyFile },
      { TEMPORAL_TLS_SERVER_CA_CERT_PATH: otherCaller.certFile },
      { TEMPORAL_TLS: 'false' },
    ];
    expect(await connectsWith(environment())).toEqual(BOTH_CONNECTED);
    const outcomes = await Promise.all(changes.map((change) => connectsWith(environment(change))));
    expect(outcomes).toEqual(changes.map(() => ({ client: 'DEADLINE_EXCEEDED', worker: 'refused' })));
  });
});

/** Returns the gRPC status of an error. A call without a connection ends with DEADLINE_EXCEEDED. */
function reasonOf(error: unknown): string {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    const { code } = cause as Error & { code?: unknown };
    if (typeof code === 'number') return status[code]!;
  }
  return String(error);
}
