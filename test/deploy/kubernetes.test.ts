import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { generateComposeSecrets } from '../../tools/compose-secrets/generate.js';
import { MAX_API_REPLICAS } from '../../tools/openapi/temporal-limits.js';
import { loadConfig } from '../../src/config/read.js';
import type { ProcessName } from '../../src/config/variables/declaration.js';
import { serveHealth } from '../../src/observability/health-server.js';
import { createLogger } from '../../src/observability/logger.js';
import { hasWorkflows, TASK_QUEUES } from '../../src/temporal/task-queues.js';
import { FORCED_SHUTDOWN_SECONDS } from '../../src/temporal/workers.js';
import { projectRoot } from '../support/processes.js';
import { roleOfCommand, unknownVariables } from '../support/deploy/program-roles.js';
import { describeWithKustomize, renderKustomization } from '../support/deploy/kustomize.js';
import {
  matchesLabels,
  typeCheckManifests,
  validateManifest,
  type Container,
  type Manifest,
  type PodSpec,
} from '../support/deploy/kubernetes-manifests.js';
import openapi from '../../openapi.json' with { type: 'json' };

/** Example values for the Secret `shop`, which is not committed. */
const SECRET: Record<string, string> = {
  PAYLOAD_ENCRYPTION_KEYS: `2026-11:${Buffer.alloc(32).toString('base64')}`,
  ...generateComposeSecrets(),
  DATABASE_URL: 'postgres://shop:password@postgres.example.com/shop',
  DATABASE_OWNER_URL: 'postgres://shop_owner:password@postgres.example.com/shop',
  SMTP_URL: 'smtps://shop:password@mail.example.com',
};

/** The settings of KEDA's `temporal` trigger that this project uses. KEDA requires every value to be a string. */
const temporalTrigger = z.strictObject({
  endpointFromEnv: z.literal('TEMPORAL_ADDRESS'),
  namespaceFromEnv: z.literal('TEMPORAL_NAMESPACE'),
  taskQueue: z.enum(TASK_QUEUES),
  queueTypes: z.string().regex(/^(workflow,)?activity$/),
  targetQueueSize: z.string().regex(/^[1-9]\d*$/),
});

describeWithKustomize('the manifests for Kubernetes', () => {
  let base: Manifest[];
  let manifests: Manifest[];
  beforeAll(async () => {
    [base, manifests] = await Promise.all([
      renderKustomization<Manifest>('base'),
      renderKustomization<Manifest>('overlays/example'),
    ]);
  });

  const ofKind = (kind: string, from = manifests) => from.filter((manifest) => manifest.kind === kind);
  const findManifest = (kind: string, name: string): Manifest => {
    const found = ofKind(kind).find(({ metadata }) => metadata.name === name);
    if (!found) throw new Error(`there is no ${kind} ${name}`);
    return found;
  };
  const workloads = () => [...ofKind('Deployment'), ...ofKind('Job')];
  const podOf = ({ spec }: Manifest): PodSpec => spec!.template!.spec;
  const labelsOf = ({ spec }: Manifest) => spec!.template!.metadata.labels;
  const containerOf = (workload: Manifest): Container => {
    const { containers } = podOf(workload);
    expect(containers).toHaveLength(1);
    return containers[0]!;
  };
  const roleOfContainer = (workload: Manifest) => roleOfCommand(containerOf(workload).command) as ProcessName;
  const workers = () => ofKind('Deployment').filter((workload) => roleOfContainer(workload) === 'worker');

  /** Returns the environment variables of a container. */
  const environmentOf = (workload: Manifest): Record<string, string> => {
    const { env, envFrom } = containerOf(workload);
    const fromMaps = envFrom.map(({ configMapRef }) => findManifest('ConfigMap', configMapRef.name).data ?? {});
    const own = env.map(({ name, value, valueFrom }) => {
      if (valueFrom) expect(valueFrom.secretKeyRef.name).toBe('shop');
      return [name, value ?? SECRET[valueFrom?.secretKeyRef.key ?? '']];
    });
    return Object.assign({}, ...fromMaps, Object.fromEntries(own)) as Record<string, string>;
  };

  describe('manifests', () => {
    test('the manifests of base and overlay are valid against their schemas', async () => {
      for (const manifest of [...base, ...manifests]) {
        const { kind, metadata } = manifest;
        await expect(validateManifest(manifest), `${kind} ${metadata.name}`).resolves.toBeUndefined();
      }
    });

    test('the manifests contain only fields that Kubernetes knows', () => {
      expect(typeCheckManifests(manifests)).toEqual([]);
    });

    test('all manifests of the example overlay are in one namespace', () => {
      for (const { kind, metadata } of manifests) expect(metadata.namespace, `${kind} ${metadata.name}`).toBe('shop');
    });

    test('the manifests contain an API, a setup job, and workers for each task queue', () => {
      expect(workloads().map(({ kind, metadata }) => `${kind} ${metadata.name}`)).toEqual([
        'Deployment api',
        ...[...TASK_QUEUES].sort().map((queue) => `Deployment worker-${queue}`),
        'Job setup',
      ]);
      for (const { kind } of [...base, ...manifests]) expect(kind).not.toBe('Secret');
    });
  });

  describe('containers', () => {
    test('each container gets all required variables and no unknown variable', () => {
      for (const workload of workloads())
        expect(unknownVariables(roleOfContainer(workload), environmentOf(workload)), workload.metadata.name).toEqual(
          [],
        );
    });

    test('secrets come from the Secret and are not in the manifests', () => {
      const open = [
        ...ofKind('ConfigMap').flatMap(({ data = {} }) => Object.entries(data)),
        ...workloads().flatMap((workload) =>
          containerOf(workload).env.map(({ name, value }) => [name, value] as const),
        ),
      ];
      for (const [name, value] of open) {
        if (/SECRET|KEYS|PASSWORD|DATABASE_URL|SMTP_URL/.test(name)) expect(value, name).toBeUndefined();
        expect(value ?? '', name).not.toMatch(/[A-Za-z0-9+_=]{32,}/);
      }
    });

    test('the containers use exactly the keys of the documented Secret', () => {
      const guide = readFileSync(join(projectRoot, 'docs/operations/deployment.md'), 'utf8');
      const [, command = ''] = /kubectl [^\n]*create secret generic shop \\\n((?:[^\n]*\\\n)*[^\n]*)/.exec(guide) ?? [];
      const documented = [...command.matchAll(/--from-literal=(\w+)=/g)].map(([, name]) => name);
      const used = workloads().flatMap((workload) =>
        containerOf(workload).env.flatMap(({ valueFrom }) => valueFrom?.secretKeyRef ?? []),
      );
      const keysOf = (isOptional: boolean) =>
        new Set(used.filter(({ optional = false }) => optional === isOptional).map(({ key }) => key));
      expect(documented.sort()).toEqual([...keysOf(false)].sort());
      expect([...keysOf(true)].sort()).toEqual([
        'SLACK_BOT_TOKEN',
        'SLACK_SIGNING_SECRET',
        'STRIPE_SECRET_KEY',
        'STRIPE_WEBHOOK_SECRET',
      ]);
      for (const key of keysOf(true)) expect(guide).toContain(`\`${key}\``);
    });

    test('each task queue has its own worker Deployment', () => {
      const queues = workers().map((workload) => loadConfig('worker', environmentOf(workload)).WORKER_TASK_QUEUES);
      expect(queues.map((polled) => polled.join()).sort()).toEqual([...TASK_QUEUES].sort());
      expect(workers().map(({ metadata }) => metadata.name)).toEqual(
        workers().map((workload) => `worker-${environmentOf(workload).WORKER_TASK_QUEUES}`),
      );
    });

    test('only the workers of the payment queue have the payment rate limit', () => {
      const limited = workers().filter((workload) => environmentOf(workload).PAYMENTS_PER_SECOND !== undefined);
      expect(limited.map(({ metadata }) => metadata.name)).toEqual(['worker-payments']);
    });

    test('the documented command for the setup applies everything except the API and the workers', () => {
      const guide = readFileSync(join(projectRoot, 'docs/operations/deployment.md'), 'utf8');
      expect(guide).toContain("-l 'app.kubernetes.io/name notin (api, worker)'");
      const first = manifests.filter(
        ({ metadata }) => !['api', 'worker'].includes(metadata.labels?.['app.kubernetes.io/name'] ?? ''),
      );
      expect(new Set(first.map(({ kind }) => kind))).toEqual(
        new Set(['ServiceAccount', 'ConfigMap', 'NetworkPolicy', 'Job']),
      );
    });

    test('every workload runs the same image with a pinned version', () => {
      const images = new Set(workloads().map((workload) => containerOf(workload).image));
      expect([...images]).toEqual([expect.stringMatching(/\/workflow-orchestration-patterns:\d+\.\d+\.\d+$/)]);
    });
  });

  describe('probes', () => {
    const portOf = (workload: Manifest, name: string) =>
      containerOf(workload).ports?.find((port) => port.name === name)?.containerPort;

    test('the probes of a worker use its health port, and the worker is ready only while it polls', async () => {
      const { url, close } = await serveHealth(
        { worker: () => 'does not poll' },
        { host: '127.0.0.1', port: 0, logger: createLogger('worker', 'silent') },
      );
      try {
        for (const workload of workers()) {
          const { startupProbe, livenessProbe, readinessProbe } = containerOf(workload);
          const { HEALTH_HOST, HEALTH_PORT } = loadConfig('worker', environmentOf(workload));
          expect(HEALTH_HOST).toBe('0.0.0.0');
          for (const probe of [startupProbe, livenessProbe, readinessProbe])
            expect(portOf(workload, probe!.httpGet.port)).toBe(HEALTH_PORT);
          const statuses = [startupProbe, livenessProbe, readinessProbe].map(async (probe) => {
            const response = await fetch(url + probe!.httpGet.path);
            return response.status;
          });
          expect(await Promise.all(statuses)).toEqual([200, 200, 503]);
          // The readiness check of the worker has a timeout of five seconds.
          expect(readinessProbe?.timeoutSeconds).toBeGreaterThan(5);
        }
      } finally {
        await close();
      }
    });

    test('the probes of the API use /livez, so that it stays in the Service while Temporal or the workers are unavailable', () => {
      const api = findManifest('Deployment', 'api');
      const { startupProbe, livenessProbe, readinessProbe } = containerOf(api);
      for (const probe of [startupProbe, livenessProbe, readinessProbe]) {
        expect(probe?.httpGet.path).toBe('/livez');
        expect(portOf(api, probe!.httpGet.port)).toBe(loadConfig('api', environmentOf(api)).PORT);
      }
      expect(openapi.paths).toHaveProperty('/livez');
      expect(loadConfig('api', environmentOf(api)).HOST).toBe('0.0.0.0');
    });
  });

  describe('metrics of the pods', () => {
    const scrapedWorkloads = () => [...workers(), findManifest('Deployment', 'api')];

    test('the annotations of each pod contain its metrics port', () => {
      for (const workload of scrapedWorkloads()) {
        const { METRICS_HOST, METRICS_PORT } = loadConfig(
          roleOfContainer(workload) as 'api' | 'worker',
          environmentOf(workload),
        );
        expect(METRICS_HOST).toBe('0.0.0.0');
        expect(containerOf(workload).ports).toContainEqual({ name: 'metrics', containerPort: METRICS_PORT });
        expect(workload.spec!.template!.metadata.annotations).toEqual({
          'prometheus.io/scrape': 'true',
          'prometheus.io/port': String(METRICS_PORT),
        });
      }
    });

    test('the business metrics are available through the Service that docs/operations/deployment.md names', () => {
      const { selector, ports } = findManifest('Service', 'api-metrics').spec!;
      const api = findManifest('Deployment', 'api');
      const { METRICS_PORT } = loadConfig('api', environmentOf(api));
      expect(matchesLabels(selector as Record<string, string>, labelsOf(api))).toBe(true);
      expect(ports).toEqual([{ name: 'metrics', port: METRICS_PORT, targetPort: 'metrics' }]);
      const guide = readFileSync(join(projectRoot, 'docs/operations/deployment.md'), 'utf8');
      expect(guide).toContain(`api-metrics.shop.svc:${METRICS_PORT}`);
    });
  });

  describe('pod termination', () => {
    test('a worker pod has a grace period that is longer than the shutdown timeouts of the worker', () => {
      for (const workload of workers()) {
        const { SHUTDOWN_GRACE_SECONDS } = loadConfig('worker', environmentOf(workload));
        expect(podOf(workload).terminationGracePeriodSeconds).toBeGreaterThan(
          SHUTDOWN_GRACE_SECONDS + FORCED_SHUTDOWN_SECONDS,
        );
      }
    });

    test('an API pod delays its shutdown until the Service no longer sends requests to it', () => {
      const api = findManifest('Deployment', 'api');
      const [program, seconds] = containerOf(api).lifecycle!.preStop.exec.command;
      expect(program).toBe('sleep');
      expect(Number(seconds)).toBeGreaterThanOrEqual(5);
      expect(podOf(api).terminationGracePeriodSeconds! - Number(seconds)).toBeGreaterThanOrEqual(30);
    });

    test('at most one pod of each Deployment is evicted at a time', () => {
      for (const workload of ofKind('Deployment')) {
        const budgets = ofKind('PodDisruptionBudget').filter(({ spec }) =>
          matchesLabels((spec!.selector as { matchLabels: Record<string, string> }).matchLabels, labelsOf(workload)),
        );
        expect(budgets.map(({ metadata }) => metadata.name)).toEqual([workload.metadata.name]);
        expect(budgets[0]?.spec).toMatchObject({ maxUnavailable: 1 });
      }
    });
  });

  describe('selectors', () => {
    test('the selector of each Deployment selects exactly its own pods', () => {
      for (const workload of ofKind('Deployment')) {
        const { matchLabels } = workload.spec!.selector as { matchLabels: Record<string, string> };
        const found = workloads().filter((other) => matchesLabels(matchLabels, labelsOf(other)));
        expect(found).toEqual([workload]);
        for (const { labelSelector } of podOf(workload).topologySpreadConstraints ?? [])
          expect(labelSelector.matchLabels).toEqual(matchLabels);
        expect(podOf(workload).topologySpreadConstraints).toHaveLength(1);
      }
    });

    test('the Service `api` routes to an open port of the API pods', () => {
      const { selector, ports } = findManifest('Service', 'api').spec!;
      const found = workloads().filter((other) => matchesLabels(selector as Record<string, string>, labelsOf(other)));
      expect(found.map(({ metadata }) => metadata.name)).toEqual(['api']);
      const open = containerOf(found[0]!).ports!.map(({ name }) => name);
      expect(ports!.map(({ targetPort }) => targetPort)).toEqual(['http']);
      expect(open).toContain('http');
    });

    test('the network policies allow traffic to the API, and from Prometheus to the metrics ports', () => {
      for (const workload of workloads()) {
        const policies = ofKind('NetworkPolicy').filter(({ spec }) => {
          const { matchLabels = {}, matchExpressions = [] } = spec!.podSelector!;
          const labels = labelsOf(workload);
          return (
            matchesLabels(matchLabels, labels) &&
            matchExpressions.every(({ key, values }) => values.includes(labels[key]!))
          );
        });
        const open = policies.flatMap(({ spec }) => spec!.ingress ?? []);
        const metrics = {
          from: [{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'monitoring' } } }],
          ports: [{ port: 'metrics' }],
        };
        expect(policies.length, workload.metadata.name).toBeGreaterThan(0);
        const role = roleOfContainer(workload);
        expect(open).toEqual([
          ...(role === 'api' ? [{ ports: [{ port: 'http' }] }] : []),
          ...(role === 'setup' ? [] : [metrics]),
        ]);
      }
    });
  });

  describe('autoscaling', () => {
    const scalersOf = (workload: Manifest, kind: string) =>
      ofKind(kind).filter(({ spec }) => spec!.scaleTargetRef!.name === workload.metadata.name);

    test('the backlog of a task queue scales its workers, but never to zero', () => {
      expect(ofKind('ScaledObject')).toHaveLength(TASK_QUEUES.length);
      for (const workload of workers()) {
        const [scaler, ...others] = scalersOf(workload, 'ScaledObject');
        const { minReplicaCount = 0, maxReplicaCount = 0, triggers = [] } = scaler!.spec!;
        const [trigger] = triggers;
        const scaledQueue = temporalTrigger.parse(trigger?.metadata);
        expect(others).toEqual([]);
        expect(triggers.map(({ type }) => type)).toEqual(['temporal']);
        expect(scaledQueue.taskQueue).toBe(environmentOf(workload).WORKER_TASK_QUEUES);
        expect(scaledQueue.queueTypes).toBe(hasWorkflows(scaledQueue.taskQueue) ? 'workflow,activity' : 'activity');
        expect(environmentOf(workload)).toMatchObject({
          [scaledQueue.endpointFromEnv]: expect.any(String),
          [scaledQueue.namespaceFromEnv]: expect.any(String),
        });
        expect(minReplicaCount).toBeGreaterThanOrEqual(2);
        expect(maxReplicaCount).toBeGreaterThan(minReplicaCount);
      }
    });

    test('the API scales from two pods up to MAX_API_REPLICAS', () => {
      const [scaler] = scalersOf(findManifest('Deployment', 'api'), 'HorizontalPodAutoscaler');
      expect(scaler?.spec?.minReplicas).toBe(2);
      expect(scaler?.spec?.maxReplicas).toBe(MAX_API_REPLICAS);
    });

    test('applying the manifests again does not reset the replica counts', () => {
      for (const { metadata, spec } of ofKind('Deployment')) expect(spec?.replicas, metadata.name).toBeUndefined();
      const fixed = ofKind('Deployment', base).filter(({ spec }) => spec?.replicas !== undefined);
      expect(fixed.map(({ metadata }) => metadata.name)).toEqual(workers().map(({ metadata }) => metadata.name));
    });
  });

  describe('pod hardening', () => {
    test('restricts the privileges and resources of each pod', () => {
      for (const workload of workloads()) {
        const { securityContext, resources } = containerOf(workload);
        const pod = podOf(workload);
        expect(pod.securityContext).toEqual({
          runAsNonRoot: true,
          runAsUser: 1000,
          runAsGroup: 1000,
          seccompProfile: { type: 'RuntimeDefault' },
        });
        expect(securityContext).toEqual({
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ['ALL'] },
        });
        expect(resources).toMatchObject({
          requests: { cpu: expect.any(String), memory: expect.any(String) },
          limits: { memory: expect.any(String) },
        });
        expect(pod.automountServiceAccountToken).toBe(false);
        expect(findManifest('ServiceAccount', pod.serviceAccountName)).toMatchObject({
          automountServiceAccountToken: false,
        });
      }
    });
  });
});
