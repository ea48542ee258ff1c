import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { downloadGoModule } from '../../../tools/servers/programs/go-program.js';
import type { Manifest } from '../../support/deploy/kubernetes-manifests.js';
import { renderKustomization } from '../../support/deploy/kustomize.js';
import {
  describeWithKubernetes,
  startKubernetesApi,
  type CustomResourceDefinition,
  type KubernetesApi,
  type ObjectId,
} from '../../support/deploy/kubernetes-api-server.js';

const START_TIMEOUT_MS = 240_000;
const NAMESPACE = 'shop';

/** The oldest versions that docs/operations/deployment.md allows, and the folder of their definitions. */
const KEDA = { module: 'github.com/kedacore/keda/v2', version: '2.17.3', folder: 'config/crd/bases' };
const WORKER_CONTROLLER = {
  module: 'github.com/temporalio/temporal-worker-controller',
  version: '1.7.0',
  folder: 'helm/temporal-worker-controller-crds/templates',
};

describeWithKubernetes('the manifests on the API server of Kubernetes', () => {
  let kubernetes: KubernetesApi;
  let base: Manifest[];
  let example: Manifest[];
  let workerController: Manifest[];

  beforeAll(async () => {
    kubernetes = await startKubernetesApi();
    [base, example, workerController] = (await Promise.all(
      ['base', 'overlays/example', 'overlays/worker-controller'].map((path) => renderKustomization<Manifest>(path)),
    )) as [Manifest[], Manifest[], Manifest[]];
    const definitions = await readDefinitions(KEDA, await downloadModule(KEDA));
    const scaledObjects = definitions.find(({ spec }) => spec.names.kind === 'ScaledObject')!;
    await kubernetes.define(scaledObjects);
    await kubernetes.apply({
      apiVersion: 'v1',
      kind: 'Namespace',
      // The API server warns about a Deployment or a Job whose pods violate the strictest Pod Security Standard.
      metadata: { name: NAMESPACE, labels: { 'pod-security.kubernetes.io/warn': 'restricted' } },
    } as ObjectId);
  }, START_TIMEOUT_MS);
  afterAll(() => kubernetes?.stop());

  const isOfController = ({ apiVersion }: ObjectId) => apiVersion.startsWith('temporal.io/');
  /** Returns a copy with a namespace, because the namespace of the base is set by its overlays. */
  const inNamespace = <T extends ObjectId>(object: T): T => ({
    ...object,
    metadata: { namespace: NAMESPACE, ...object.metadata },
  });

  /** Validates each object on the API server and returns the errors and warnings. */
  async function findProblems(objects: readonly ObjectId[]): Promise<string[]> {
    const problems: string[] = [];
    for (const object of objects) {
      const { kind, metadata } = object;
      const problem = await kubernetes.apply(inNamespace(object), { dryRun: true }).then(
        ({ warning }) => warning,
        (error: Error) => error.message,
      );
      if (problem !== null) problems.push(`${kind} ${metadata.name}: ${problem}`);
    }
    return problems;
  }

  /** Applies each object and returns its version in the store. */
  async function applyAll(objects: readonly Manifest[]): Promise<Record<string, string>> {
    const versions: Record<string, string> = {};
    for (const object of objects) {
      const { resourceVersion } = await kubernetes.apply(object);
      versions[`${object.kind} ${object.metadata.name}`] = resourceVersion;
    }
    return versions;
  }

  test('accepts each object of the base and of the example without a warning', async () => {
    expect(example.length).toBeGreaterThan(20);
    expect(await findProblems([...base, ...example])).toEqual([]);
  });

  test('rejects a misspelt field, an invalid quantity and a selector of other pods, and warns about root', async () => {
    const api = example.find(({ kind, metadata }) => kind === 'Deployment' && metadata.name === 'api')!;
    const findProblemsAfter = (change: (deployment: Manifest) => void): Promise<string[]> => {
      const deployment = structuredClone(api);
      change(deployment);
      return findProblems([deployment]);
    };
    const containerOf = ({ spec }: Manifest) => spec!.template!.spec.containers[0]!;

    expect(await findProblemsAfter((deployment) => Object.assign(containerOf(deployment), { commands: [] }))).toEqual([
      expect.stringContaining('commands: field not declared in schema'),
    ]);
    expect(
      await findProblemsAfter((deployment) => (containerOf(deployment).resources.limits.memory = '512Mb')),
    ).toEqual([expect.stringContaining('quantities must match the regular expression')]);
    expect(
      await findProblemsAfter(({ spec }) => (spec!.selector = { matchLabels: { 'app.kubernetes.io/name': 'other' } })),
    ).toEqual([expect.stringContaining('`selector` does not match template `labels`')]);
    expect(await findProblemsAfter(({ spec }) => (spec!.template!.spec.securityContext = {}))).toEqual([
      expect.stringContaining('would violate PodSecurity \\"restricted:latest\\"'),
    ]);
  });

  test('does not change any object when the example is applied a second time', async () => {
    const versions = await applyAll(example);
    expect(await applyAll(example)).toEqual(versions);
  });

  test('accepts a new image after the old setup Job is deleted', async () => {
    await applyAll(example);
    const next = JSON.parse(
      JSON.stringify(example).replaceAll(/(workflow-orchestration-patterns):[\d.]+/g, '$1:9.9.9'),
    ) as Manifest[];
    const job = next.find(({ kind }) => kind === 'Job')!;

    await expect(kubernetes.apply(job)).rejects.toThrow('field is immutable');
    await kubernetes.delete(job);
    expect(await findProblems(next)).toEqual([]);
  });

  test('accepts the overlay for the Worker Controller without the kinds of the controller', async () => {
    const ofKubernetes = workerController.filter((object) => !isOfController(object));
    expect(await findProblems(ofKubernetes)).toEqual([]);
  });

  test('accepts the autoscalers that the Worker Controller creates', async () => {
    const templates = workerController.filter(({ kind }) => kind === 'WorkerResourceTemplate');
    expect(templates).not.toEqual([]);
    const autoscalers = templates.map(({ metadata, spec }) => {
      const template = spec!.template as unknown as ObjectId & { spec: object };
      const scaleTargetRef = { apiVersion: 'apps/v1', kind: 'Deployment', name: metadata.name };
      return { ...template, metadata: { name: metadata.name }, spec: { ...template.spec, scaleTargetRef } };
    });
    expect(await findProblems(autoscalers)).toEqual([]);
  });

  test('accepts the kinds of the Worker Controller', async ({ skip }) => {
    const folder = await downloadModule(WORKER_CONTROLLER).catch(() =>
      skip(`the module ${WORKER_CONTROLLER.module} cannot be downloaded`),
    );
    const definitions = await readDefinitions(WORKER_CONTROLLER, folder);
    for (const definition of definitions) await kubernetes.define(definition);
    const ofController = workerController.filter(isOfController);
    expect(new Set(ofController.map(({ kind }) => kind))).toEqual(
      new Set(['Connection', 'WorkerDeployment', 'WorkerResourceTemplate']),
    );
    expect(await findProblems(ofController)).toEqual([]);
  });
});

const downloadModule = ({ module, version }: typeof KEDA) => downloadGoModule(module, version);

/** Returns the definitions of kinds in a Go module. */
async function readDefinitions({ folder }: typeof KEDA, module: string): Promise<CustomResourceDefinition[]> {
  const files = (await readdir(join(module, folder))).filter((file) => file.endsWith('.yaml'));
  const texts = await Promise.all(files.map((file) => readFile(join(module, folder, file), 'utf8')));
  return texts
    .flatMap((text) => parseAllDocuments(text))
    .map((document) => document.toJS() as CustomResourceDefinition)
    .filter((object) => object?.kind === 'CustomResourceDefinition');
}
