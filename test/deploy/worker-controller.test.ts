import { beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { generateComposeSecrets } from '../../tools/compose-secrets/generate.js';
import { loadConfig } from '../../src/config/read.js';
import { TASK_QUEUES } from '../../src/temporal/task-queues.js';
import { describeWithKustomize, renderKustomization } from '../support/deploy/kustomize.js';
import { typeCheckManifests, validateManifest, type Manifest } from '../support/deploy/kubernetes-manifests.js';
import { unknownVariables } from '../support/deploy/program-roles.js';

const duration = z.string().regex(/^\d+[smh]$/);
const name = z.strictObject({ name: z.string() });

/** The fields of the controller's kinds (temporal.io/v1alpha1, controller 1.7) that this project uses. */
const connectionSpec = z.strictObject({ hostPort: z.string().regex(/^[a-zA-Z0-9.-]+:[0-9]+$/) });
const workerDeploymentSpec = z.strictObject({
  workerOptions: z.strictObject({ connectionRef: name, temporalNamespace: z.string().min(1) }),
  rollout: z.strictObject({
    strategy: z.literal('Progressive'),
    steps: z
      .array(z.strictObject({ rampPercentage: z.int().min(1).max(99), pauseDuration: duration }))
      .min(1)
      .max(20),
  }),
  sunset: z.strictObject({ scaledownDelay: duration, deleteDelay: duration }),
  template: z.looseObject({}),
});
const workerResourceTemplateSpec = z.strictObject({
  workerDeploymentRef: name,
  template: z.strictObject({
    apiVersion: z.literal('autoscaling/v2'),
    kind: z.literal('HorizontalPodAutoscaler'),
    spec: z.looseObject({ scaleTargetRef: z.strictObject({}), minReplicas: z.int(), maxReplicas: z.int() }),
  }),
});

/** The variables that the controller sets on each container. */
const VARIABLES_OF_CONTROLLER = {
  TEMPORAL_DEPLOYMENT_NAME: 'shop/worker-orders',
  TEMPORAL_WORKER_BUILD_ID: '1-0-0-4c7b43b2',
};

describeWithKustomize('the overlay for the Worker Controller', () => {
  let example: Manifest[];
  let manifests: Manifest[];
  beforeAll(async () => {
    [example, manifests] = await Promise.all([
      renderKustomization<Manifest>('overlays/example'),
      renderKustomization<Manifest>('overlays/worker-controller'),
    ]);
  });

  const ofKind = (kind: string, from = manifests) => from.filter((manifest) => manifest.kind === kind);
  const namesOf = (found: Manifest[]) => found.map(({ metadata }) => metadata.name);
  const configMap = (prefix: string) => ofKind('ConfigMap').find(({ metadata }) => metadata.name.startsWith(prefix))!;

  test('runs the workers of each task queue as a WorkerDeployment, and the API as a Deployment', () => {
    expect(namesOf(ofKind('WorkerDeployment'))).toEqual([...TASK_QUEUES].sort().map((queue) => `worker-${queue}`));
    expect(namesOf(ofKind('Deployment'))).toEqual(['api']);
    expect(ofKind('ScaledObject')).toEqual([]);
    for (const { metadata } of manifests) expect(metadata.namespace, metadata.name).toBe('shop');
  });

  test('uses only fields that the controller knows, and its own server and namespace', () => {
    const { TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE } = configMap('shop-').data!;
    const [connection] = ofKind('Connection');
    expect(connectionSpec.parse(connection!.spec)).toEqual({ hostPort: TEMPORAL_ADDRESS });
    for (const { apiVersion, spec } of ofKind('WorkerDeployment')) {
      expect(apiVersion).toBe('temporal.io/v1alpha1');
      expect(workerDeploymentSpec.parse(spec).workerOptions).toEqual({
        connectionRef: { name: connection!.metadata.name },
        temporalNamespace: TEMPORAL_NAMESPACE,
      });
    }
  });

  test('starts the same pods as the Deployments of the example', async () => {
    for (const worker of ofKind('WorkerDeployment')) {
      const deployment = ofKind('Deployment', example).find(({ metadata }) => metadata.name === worker.metadata.name)!;
      expect(worker.spec!.template).toEqual(deployment.spec!.template);
      expect(worker.metadata).toEqual(deployment.metadata);
    }
    const ofKubernetes = manifests.filter(({ apiVersion }) => !apiVersion.startsWith('temporal.io/'));
    for (const manifest of ofKubernetes) await validateManifest(manifest);
    expect(typeCheckManifests(ofKubernetes)).toEqual([]);
  });

  test('gives each worker the variables that it requires, with those that the controller adds', () => {
    const secrets: Record<string, string> = {
      ...generateComposeSecrets(),
      DATABASE_URL: 'postgres://shop:password@postgres.example.com/shop',
      SMTP_URL: 'smtps://shop:password@mail.example.com',
    };
    for (const { spec, metadata } of ofKind('WorkerDeployment')) {
      const [container] = spec!.template!.spec.containers;
      const own = container!.env.map(({ name, value, valueFrom }) => [
        name,
        value ?? secrets[valueFrom?.secretKeyRef.key ?? ''],
      ]);
      const env = {
        ...configMap('shop-').data,
        ...configMap('worker-').data,
        ...(Object.fromEntries(own) as Record<string, string>),
        ...VARIABLES_OF_CONTROLLER,
      };
      expect(unknownVariables('worker', env), metadata.name).toEqual([]);
      expect(loadConfig('worker', env)).toMatchObject(VARIABLES_OF_CONTROLLER);
      for (const { configMapRef } of container!.envFrom)
        expect(namesOf(ofKind('ConfigMap'))).toContain(configMapRef.name);
      expect(container!.env.map((variable) => variable.name)).not.toContain('TEMPORAL_WORKER_BUILD_ID');
    }
  });

  test('scales each version of a task queue, but never to zero', () => {
    const templates = ofKind('WorkerResourceTemplate').map(({ spec }) => workerResourceTemplateSpec.parse(spec));
    expect(templates.map(({ workerDeploymentRef }) => workerDeploymentRef.name).sort()).toEqual(
      namesOf(ofKind('WorkerDeployment')),
    );
    for (const { template, workerDeploymentRef } of templates) {
      const { minReplicas, maxReplicas } = template.spec;
      const scaler = ofKind('ScaledObject', example).find(
        ({ metadata }) => metadata.name === workerDeploymentRef.name,
      )!;
      expect({ minReplicas, maxReplicas }).toEqual({
        minReplicas: scaler.spec!.minReplicaCount,
        maxReplicas: scaler.spec!.maxReplicaCount,
      });
    }
    // With a number of replicas, the controller would reset what the autoscaler decided.
    for (const { spec } of ofKind('WorkerDeployment')) expect(spec).not.toHaveProperty('replicas');
  });
});
