import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { composeSecrets } from '../../dev/compose-secrets.js';
import { MAX_APIS } from '../../dev/limit-table.js';
import { checkout } from '../../dev/settings.js';
import { loadConfig, type Role } from '../../src/config.js';
import { serveHealth } from '../../src/observability/health.js';
import { createLogger } from '../../src/observability/logger.js';
import { hasWorkflows, TASK_QUEUES } from '../../src/temporal/task-queues.js';
import { FORCE_AFTER_GRACE_SECONDS } from '../../src/temporal/workers.js';
import { roleOf, unknownVariables } from '../support/deployment.js';
import { describeRendered, render } from '../support/kustomize.js';
import { selects, typeErrors, validate, type Container, type Manifest, type PodSpec } from '../support/manifests.js';
import openapi from '../../openapi.json' with { type: 'json' };

/** The Secret `shop`, which is not committed. */
const SECRET: Record<string, string> = {
  PAYLOAD_ENCRYPTION_KEYS: `2026-11:${Buffer.alloc(32).toString('base64')}`,
  ...composeSecrets(),
  DATABASE_URL: 'postgres://shop:password@postgres.example.com/shop',
  DATABASE_OWNER_URL: 'postgres://shop_owner:password@postgres.example.com/shop',
  SMTP_URL: 'smtps://shop:password@mail.example.com',
};

/** What KEDA's `temporal` trigger may be told, as far as it is wanted here. Every value is a string. */
const temporalTrigger = z.strictObject({
  endpointFromEnv: z.literal('TEMPORAL_ADDRESS'),
  namespaceFromEnv: z.literal('TEMPORAL_NAMESPACE'),
  taskQueue: z.enum(TASK_QUEUES),
  queueTypes: z.string().regex(/^(workflow,)?activity$/),
  targetQueueSize: z.string().regex(/^[1-9]\d*$/),
});

describeRendered('the manifests for Kubernetes', () => {
  let base: Manifest[];
  let manifests: Manifest[];
  beforeAll(async () => {
    [base, manifests] = await Promise.all([render<Manifest>('base'), render<Manifest>('overlays/example')]);
  });

  const ofKind = (kind: string, from = manifests) => from.filter((manifest) => manifest.kind === kind);
  const named = (kind: string, name: string): Manifest => {
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
  const roleIn = (workload: Manifest) => roleOf(containerOf(workload).command) as Role;
  const workers = () => ofKind('Deployment').filter((workload) => roleIn(workload) === 'worker');

  /** The variables that a container starts with. */
  const environmentOf = (workload: Manifest): Record<string, string> => {
    const { env, envFrom } = containerOf(workload);
    const fromMaps = envFrom.map(({ configMapRef }) => named('ConfigMap', configMapRef.name).data ?? {});
    const own = env.map(({ name, value, valueFrom }) => {
      if (valueFrom) expect(valueFrom.secretKeyRef.name).toBe('shop');
      return [name, value ?? SECRET[valueFrom?.secretKeyRef.key ?? '']];
    });
    return Object.assign({}, ...fromMaps, Object.fromEntries(own)) as Record<string, string>;
  };

  describe('as objects', () => {
    test('when they are rendered, then each is what its kind allows, the base and the example', async () => {
      for (const manifest of [...base, ...manifests]) {
        const { kind, metadata } = manifest;
        await expect(validate(manifest), `${kind} ${metadata.name}`).resolves.toBeUndefined();
      }
    });

    test('when a field is unknown to Kubernetes, then none of ours is it', () => {
      expect(typeErrors(manifests)).toEqual([]);
    });

    test('when the example is applied, then everything goes into one namespace', () => {
      for (const { kind, metadata } of manifests) expect(metadata.namespace, `${kind} ${metadata.name}`).toBe('shop');
    });

    test('when they are counted, then there is an API, a setup, and workers for each task queue', () => {
      expect(workloads().map(({ kind, metadata }) => `${kind} ${metadata.name}`)).toEqual([
        'Deployment api',
        ...[...TASK_QUEUES].sort().map((queue) => `Deployment worker-${queue}`),
        'Job setup',
      ]);
      for (const { kind } of [...base, ...manifests]) expect(kind).not.toBe('Secret');
    });
  });

  describe('the processes', () => {
    test('when one starts, then it has every variable that it needs, and none that it does not know', () => {
      for (const workload of workloads())
        expect(unknownVariables(roleIn(workload), environmentOf(workload)), workload.metadata.name).toEqual([]);
    });

    test('when a variable holds a secret, then it comes from the Secret, never from the manifests', () => {
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

    test('when somebody makes the Secret as documented, then with all keys that are asked for, and no others', () => {
      const guide = readFileSync(join(checkout, 'docs/deployment.md'), 'utf8');
      const [, command = ''] = /kubectl [^\n]*create secret generic shop \\\n((?:[^\n]*\\\n)*[^\n]*)/.exec(guide) ?? [];
      const documented = [...command.matchAll(/--from-literal=(\w+)=/g)].map(([, name]) => name);
      const used = workloads().flatMap((workload) =>
        containerOf(workload).env.flatMap(({ valueFrom }) => valueFrom?.secretKeyRef.key ?? []),
      );
      expect(documented.sort()).toEqual([...new Set(used)].sort());
    });

    test('when workers are counted by queue, then each task queue has one group of its own', () => {
      const queues = workers().map((workload) => loadConfig('worker', environmentOf(workload)).WORKER_QUEUES);
      expect(queues.map((polled) => polled.join()).sort()).toEqual([...TASK_QUEUES].sort());
      expect(workers().map(({ metadata }) => metadata.name)).toEqual(
        workers().map((workload) => `worker-${environmentOf(workload).WORKER_QUEUES}`),
      );
    });

    test('when the payment gateway has a limit, then the workers of its queue know it, and only they', () => {
      const limited = workers().filter((workload) => environmentOf(workload).PAYMENTS_PER_SECOND !== undefined);
      expect(limited.map(({ metadata }) => metadata.name)).toEqual(['worker-payments']);
    });

    test('when the setup goes first as documented, then with what it needs, and nothing of API and workers', () => {
      const guide = readFileSync(join(checkout, 'docs/deployment.md'), 'utf8');
      expect(guide).toContain("-l 'app.kubernetes.io/name notin (api, worker)'");
      const first = manifests.filter(
        ({ metadata }) => !['api', 'worker'].includes(metadata.labels?.['app.kubernetes.io/name'] ?? ''),
      );
      expect(new Set(first.map(({ kind }) => kind))).toEqual(
        new Set(['ServiceAccount', 'ConfigMap', 'NetworkPolicy', 'Job']),
      );
    });

    test('when they run an image, then all the same one, at a version', () => {
      const images = new Set(workloads().map((workload) => containerOf(workload).image));
      expect([...images]).toEqual([expect.stringMatching(/\/workflow-orchestration-patterns:\d+\.\d+\.\d+$/)]);
    });
  });

  describe('probes', () => {
    const portOf = (workload: Manifest, name: string) =>
      containerOf(workload).ports?.find((port) => port.name === name)?.containerPort;

    test('when a worker is asked, then where it listens for that, and it is ready only while it polls', async () => {
      const { url, close } = await serveHealth(
        { worker: () => 'does not poll' },
        { ...{ host: '127.0.0.1', port: 0 }, logger: createLogger('worker', 'silent') },
      );
      try {
        for (const workload of workers()) {
          const { startupProbe, livenessProbe, readinessProbe } = containerOf(workload);
          const { HEALTH_HOST, HEALTH_PORT } = loadConfig('worker', environmentOf(workload));
          expect(HEALTH_HOST).toBe('0.0.0.0');
          for (const probe of [startupProbe, livenessProbe, readinessProbe])
            expect(portOf(workload, probe!.httpGet.port)).toBe(HEALTH_PORT);
          const statuses = [startupProbe, livenessProbe, readinessProbe].map(async (probe) => {
            const answer = await fetch(url + probe!.httpGet.path);
            return answer.status;
          });
          expect(await Promise.all(statuses)).toEqual([200, 200, 503]);
          // Each of its checks is given five seconds.
          expect(readinessProbe?.timeoutSeconds).toBeGreaterThan(5);
        }
      } finally {
        await close();
      }
    });

    test('when Temporal or the workers are away, then no API leaves the Service, which /readyz would make all of them do', () => {
      const api = named('Deployment', 'api');
      const { startupProbe, livenessProbe, readinessProbe } = containerOf(api);
      for (const probe of [startupProbe, livenessProbe, readinessProbe]) {
        expect(probe?.httpGet.path).toBe('/livez');
        expect(portOf(api, probe!.httpGet.port)).toBe(loadConfig('api', environmentOf(api)).PORT);
      }
      expect(openapi.paths).toHaveProperty('/livez');
      expect(loadConfig('api', environmentOf(api)).HOST).toBe('0.0.0.0');
    });
  });

  describe('metrics', () => {
    const scraped = () => [...workers(), named('Deployment', 'api')];

    test('when workers and API are scraped, then each pod, where it listens for that', () => {
      for (const workload of scraped()) {
        const { METRICS_HOST, METRICS_PORT } = loadConfig(
          roleIn(workload) as 'api' | 'worker',
          environmentOf(workload),
        );
        expect(METRICS_HOST).toBe('0.0.0.0');
        expect(containerOf(workload).ports).toContainEqual({ name: 'metrics', containerPort: METRICS_PORT });
        expect(workload.spec!.template!.metadata.annotations).toEqual({
          ...{ 'prometheus.io/scrape': 'true', 'prometheus.io/port': String(METRICS_PORT) },
        });
      }
    });

    test('when the shop is asked how it stands, then by a name for all APIs, as the guide has it', () => {
      const { selector, ports } = named('Service', 'api-metrics').spec!;
      const api = named('Deployment', 'api');
      const { METRICS_PORT } = loadConfig('api', environmentOf(api));
      expect(selects(selector as Record<string, string>, labelsOf(api))).toBe(true);
      expect(ports).toEqual([{ name: 'metrics', port: METRICS_PORT, targetPort: 'metrics' }]);
      const guide = readFileSync(join(checkout, 'docs/deployment.md'), 'utf8');
      expect(guide).toContain(`api-metrics.shop.svc:${METRICS_PORT}`);
    });
  });

  describe('the end of a pod', () => {
    test('when a worker is stopped, then the cluster waits longer than it takes to let activities finish', () => {
      for (const workload of workers()) {
        const { SHUTDOWN_GRACE_SECONDS } = loadConfig('worker', environmentOf(workload));
        expect(podOf(workload).terminationGracePeriodSeconds).toBeGreaterThan(
          SHUTDOWN_GRACE_SECONDS + FORCE_AFTER_GRACE_SECONDS,
        );
      }
    });

    test('when an API is stopped, then it goes on until nobody sends it anything, and has time left', () => {
      const api = named('Deployment', 'api');
      const [program, seconds] = containerOf(api).lifecycle!.preStop.exec.command;
      expect(program).toBe('sleep');
      expect(Number(seconds)).toBeGreaterThanOrEqual(5);
      expect(podOf(api).terminationGracePeriodSeconds! - Number(seconds)).toBeGreaterThanOrEqual(30);
    });

    test('when nodes are emptied, then each Deployment loses one pod at a time', () => {
      for (const workload of ofKind('Deployment')) {
        const budgets = ofKind('PodDisruptionBudget').filter(({ spec }) =>
          selects((spec!.selector as { matchLabels: Record<string, string> }).matchLabels, labelsOf(workload)),
        );
        expect(budgets.map(({ metadata }) => metadata.name)).toEqual([workload.metadata.name]);
        expect(budgets[0]?.spec).toMatchObject({ maxUnavailable: 1 });
      }
    });
  });

  describe('selectors', () => {
    test('when a Deployment looks for its pods, then it finds them and nobody else’s', () => {
      for (const workload of ofKind('Deployment')) {
        const { matchLabels } = workload.spec!.selector as { matchLabels: Record<string, string> };
        const found = workloads().filter((other) => selects(matchLabels, labelsOf(other)));
        expect(found).toEqual([workload]);
        for (const { labelSelector } of podOf(workload).topologySpreadConstraints ?? [])
          expect(labelSelector.matchLabels).toEqual(matchLabels);
        expect(podOf(workload).topologySpreadConstraints).toHaveLength(1);
      }
    });

    test('when the Service is called, then an API answers, at a port that it has', () => {
      const { selector, ports } = named('Service', 'api').spec!;
      const found = workloads().filter((other) => selects(selector as Record<string, string>, labelsOf(other)));
      expect(found.map(({ metadata }) => metadata.name)).toEqual(['api']);
      const open = containerOf(found[0]!).ports!.map(({ name }) => name);
      expect(ports!.map(({ targetPort }) => targetPort)).toEqual(['http']);
      expect(open).toContain('http');
    });

    test('when somebody calls a pod, then a policy lets him in at the API alone, and Prometheus at its metrics', () => {
      for (const workload of workloads()) {
        const policies = ofKind('NetworkPolicy').filter(({ spec }) => {
          const { matchLabels = {}, matchExpressions = [] } = spec!.podSelector!;
          const labels = labelsOf(workload);
          return (
            selects(matchLabels, labels) && matchExpressions.every(({ key, values }) => values.includes(labels[key]!))
          );
        });
        const open = policies.flatMap(({ spec }) => spec!.ingress ?? []);
        const metrics = {
          from: [{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'monitoring' } } }],
          ports: [{ port: 'metrics' }],
        };
        expect(policies.length, workload.metadata.name).toBeGreaterThan(0);
        const role = roleIn(workload);
        expect(open).toEqual([
          ...(role === 'api' ? [{ ports: [{ port: 'http' }] }] : []),
          ...(role === 'setup' ? [] : [metrics]),
        ]);
      }
    });
  });

  describe('how many there are', () => {
    const scalersOf = (workload: Manifest, kind: string) =>
      ofKind(kind).filter(({ spec }) => spec!.scaleTargetRef!.name === workload.metadata.name);

    test('when tasks wait in a queue, then its own workers become more, and there are never none', () => {
      expect(ofKind('ScaledObject')).toHaveLength(TASK_QUEUES.length);
      for (const workload of workers()) {
        const [scaler, ...others] = scalersOf(workload, 'ScaledObject');
        const { minReplicaCount = 0, maxReplicaCount = 0, triggers = [] } = scaler!.spec!;
        const [trigger] = triggers;
        const told = temporalTrigger.parse(trigger?.metadata);
        expect(others).toEqual([]);
        expect(triggers.map(({ type }) => type)).toEqual(['temporal']);
        expect(told.taskQueue).toBe(environmentOf(workload).WORKER_QUEUES);
        expect(told.queueTypes).toBe(hasWorkflows(told.taskQueue) ? 'workflow,activity' : 'activity');
        expect(environmentOf(workload)).toMatchObject({
          [told.endpointFromEnv]: expect.any(String),
          [told.namespaceFromEnv]: expect.any(String),
        });
        expect(minReplicaCount).toBeGreaterThanOrEqual(2);
        expect(maxReplicaCount).toBeGreaterThan(minReplicaCount);
      }
    });

    test('when the API is busy, then there are more of it', () => {
      const [scaler] = scalersOf(named('Deployment', 'api'), 'HorizontalPodAutoscaler');
      expect(scaler?.spec?.minReplicas).toBe(2);
      expect(scaler?.spec?.maxReplicas).toBe(MAX_APIS);
    });

    test('when something scales a Deployment, then applying the manifests again does not', () => {
      for (const { metadata, spec } of ofKind('Deployment')) expect(spec?.replicas, metadata.name).toBeUndefined();
      const fixed = ofKind('Deployment', base).filter(({ spec }) => spec?.replicas !== undefined);
      expect(fixed.map(({ metadata }) => metadata.name)).toEqual(workers().map(({ metadata }) => metadata.name));
    });
  });

  describe('containment', () => {
    test('when a pod runs, then it can do no more than it must', () => {
      for (const workload of workloads()) {
        const { securityContext, resources } = containerOf(workload);
        const pod = podOf(workload);
        expect(pod.securityContext).toEqual({
          ...{ runAsNonRoot: true, runAsUser: 1000, runAsGroup: 1000 },
          seccompProfile: { type: 'RuntimeDefault' },
        });
        expect(securityContext).toEqual({
          ...{ allowPrivilegeEscalation: false, readOnlyRootFilesystem: true },
          capabilities: { drop: ['ALL'] },
        });
        expect(resources).toMatchObject({
          requests: { cpu: expect.any(String), memory: expect.any(String) },
          limits: { memory: expect.any(String) },
        });
        expect(pod.automountServiceAccountToken).toBe(false);
        expect(named('ServiceAccount', pod.serviceAccountName)).toMatchObject({ automountServiceAccountToken: false });
      }
    });
  });
});
