import { randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Agent, fetch } from 'undici';
import { describe, inject } from 'vitest';
import { kubernetesProgramsIn } from '../../../tools/servers/programs/kubernetes-programs.js';
import { freePort, startProcess, waitUntil, waitUntilReady } from '../processes.js';
import { createCertificateAuthority } from '../temporal/certificates.js';

const REQUEST_TIMEOUT_MS = 30_000;
const START_TIMEOUT_MS = 90_000;
/** The name that the API server records as the owner of the fields. */
const FIELD_MANAGER = 'test';

/**
 * Like `describe`, for tests that apply manifests to the API server of Kubernetes. If a program is missing, the tests
 * are skipped and the title gives the reason.
 */
export function describeWithKubernetes(title: string, define: () => void): void {
  const missing = [inject('kustomize'), inject('kubernetesPrograms')].find((found) => 'missing' in found);
  if (missing && 'missing' in missing) describe.skip(`${title} (skipped: ${missing.missing})`, define);
  else describe(title, define);
}

/** What identifies an object. */
export interface ObjectId {
  apiVersion: string;
  kind: string;
  metadata: { name: string; namespace?: string };
}

interface Applied {
  /** Changes when the stored object changes. */
  resourceVersion: string;
  /** The warnings that kubectl would print, or null. */
  warning: string | null;
}

export interface KubernetesApi {
  /**
   * Applies an object as `kubectl apply --server-side` does. A dry run validates the object but does not store it.
   *
   * @throws when the API server rejects the object, for example because of an unknown field.
   */
  apply: (object: ObjectId, options?: { dryRun?: boolean }) => Promise<Applied>;
  /** Deletes an object but not the objects that it owns. */
  delete: (object: ObjectId) => Promise<void>;
  /** Applies the definition of a kind and waits until the API server serves this kind. */
  define: (definition: CustomResourceDefinition) => Promise<void>;
  stop: () => Promise<void>;
}

/** The definition of a kind that an extension adds to Kubernetes. Contains only the fields that `define` reads. */
export interface CustomResourceDefinition extends ObjectId {
  spec: { group: string; names: { kind: string }; versions: { name: string }[] };
}

/**
 * Starts the API server of Kubernetes with an empty etcd. Without controllers, objects do not change after they are
 * applied. `stop` deletes all data.
 */
export async function startKubernetesApi(): Promise<KubernetesApi> {
  const found = inject('kubernetesPrograms');
  if ('missing' in found) throw new Error(found.missing);
  const { apiServerPath, etcdPath } = kubernetesProgramsIn(found.path);
  const folder = await mkdtemp(join(tmpdir(), 'kubernetes-'));
  const [etcdPort, port] = await Promise.all([freePort(), freePort()]);
  const authority = await createCertificateAuthority(folder, 'authority');
  const certificate = await authority.sign('kube-apiserver');
  const token = randomUUID();
  const tokens = join(folder, 'tokens.csv');
  await writeFile(tokens, `${token},test,test,system:masters\n`, { mode: 0o600 });

  const etcdUrl = `http://127.0.0.1:${etcdPort}`;
  const etcd = await startProcess({
    name: 'etcd',
    command: etcdPath,
    args: [
      `--data-dir=${join(folder, 'etcd')}`,
      `--listen-client-urls=${etcdUrl}`,
      `--advertise-client-urls=${etcdUrl}`,
      // A single member has no peers, so any port is suitable.
      '--listen-peer-urls=http://127.0.0.1:0',
      '--unsafe-no-fsync',
      '--log-level=error',
    ],
  });
  const apiServer = await startProcess({
    name: 'kube-apiserver',
    command: apiServerPath,
    args: [
      `--etcd-servers=${etcdUrl}`,
      '--bind-address=127.0.0.1',
      '--advertise-address=127.0.0.1',
      `--secure-port=${port}`,
      `--tls-cert-file=${certificate.certFile}`,
      `--tls-private-key-file=${certificate.keyFile}`,
      `--token-auth-file=${tokens}`,
      '--authorization-mode=RBAC',
      // The tests create no tokens of service accounts, but the API server does not start without a key for them.
      '--service-account-issuer=https://kubernetes.default.svc',
      `--service-account-key-file=${certificate.certFile}`,
      `--service-account-signing-key-file=${certificate.keyFile}`,
      '--service-cluster-ip-range=10.0.0.0/24',
      '--endpoint-reconciler-type=none',
    ],
  });
  const dispatcher = new Agent({ connect: { ca: authority.cert } });

  /** Sends a request. @throws when the API server rejects the request, with the message of the server. */
  async function request(
    method: string,
    path: string,
    body?: object,
  ): Promise<{ text: string; warning: string | null }> {
    const response = await fetch(`https://127.0.0.1:${port}${path}`, {
      method,
      dispatcher,
      headers: {
        authorization: `Bearer ${token}`,
        ...(body && { 'content-type': 'application/apply-patch+yaml' }),
      },
      ...(body && { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(readMessage(text) ?? `${method} ${path}: ${response.status} ${text}`);
    return { text, warning: response.headers.get('warning') };
  }

  async function findPath({ apiVersion, kind, metadata: { name, namespace } }: ObjectId): Promise<string> {
    const group = `${apiVersion.includes('/') ? '/apis' : '/api'}/${apiVersion}`;
    const { text } = await request('GET', group);
    const { resources } = JSON.parse(text) as { resources: { name: string; kind: string; namespaced: boolean }[] };
    const resource = resources.find((candidate) => candidate.kind === kind && !candidate.name.includes('/'));
    if (!resource) throw new Error(`the API server does not serve the kind ${kind} of ${apiVersion}`);
    return `${group}${resource.namespaced ? `/namespaces/${namespace}` : ''}/${resource.name}/${name}`;
  }

  async function apply(object: ObjectId, { dryRun = false } = {}): Promise<Applied> {
    const path = await findPath(object);
    const query = `fieldManager=${FIELD_MANAGER}&fieldValidation=Strict${dryRun ? '&dryRun=All' : ''}`;
    const { text, warning } = await request('PATCH', `${path}?${query}`, object);
    const { metadata } = JSON.parse(text) as { metadata: { resourceVersion: string } };
    return { resourceVersion: metadata.resourceVersion, warning };
  }

  async function stop(): Promise<void> {
    await dispatcher.destroy();
    await apiServer.stop();
    await etcd.stop();
    await rm(folder, { recursive: true, force: true });
  }

  try {
    await waitUntilReady(apiServer, async () => (await request('GET', '/readyz')).text, {
      description: 'the API server of Kubernetes being ready',
      timeoutMs: START_TIMEOUT_MS,
    });
  } catch (error) {
    const reason = `${(error as Error).message}\n${etcd.lastOutput()}`;
    await stop();
    throw new Error(reason, { cause: error });
  }
  return {
    apply,
    async delete(object) {
      await request('DELETE', `${await findPath(object)}?propagationPolicy=Background`);
    },
    async define(definition) {
      await apply(definition);
      const { group, names, versions } = definition.spec;
      for (const { name: version } of versions) {
        const example = { apiVersion: `${group}/${version}`, kind: names.kind, metadata: { name: 'any' } };
        await waitUntil(() => findPath(example), {
          description: `the API server serving the kind ${names.kind} of ${group}/${version}`,
          timeoutMs: REQUEST_TIMEOUT_MS,
        });
      }
    },
    stop,
  };
}

/** Returns the message of a failed request, or undefined if the API server did not send one. */
function readMessage(text: string): string | undefined {
  try {
    return (JSON.parse(text) as { message?: string }).message;
  } catch {
    return undefined;
  }
}
