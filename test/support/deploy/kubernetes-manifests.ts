import { join } from 'node:path';
import ts from 'typescript';
import { projectRoot } from '../processes.js';

/** A map of strings, for example labels or the data of a ConfigMap. */
type StringMap = Record<string, string>;

export interface Probe {
  httpGet: { path: string; port: string };
  timeoutSeconds?: number;
}

export interface Container {
  name: string;
  image: string;
  command: string[];
  env: {
    name: string;
    value?: string;
    valueFrom?: { secretKeyRef: { name: string; key: string; optional?: boolean } };
  }[];
  envFrom: { configMapRef: { name: string } }[];
  ports?: { name: string; containerPort: number }[];
  startupProbe?: Probe;
  livenessProbe?: Probe;
  readinessProbe?: Probe;
  lifecycle?: { preStop: { exec: { command: string[] } } };
  resources: { requests: StringMap; limits: StringMap };
  securityContext: unknown;
}

export interface PodSpec {
  serviceAccountName: string;
  automountServiceAccountToken: boolean;
  terminationGracePeriodSeconds?: number;
  securityContext: unknown;
  topologySpreadConstraints?: { labelSelector: { matchLabels: StringMap } }[];
  containers: Container[];
}

/** A Kubernetes object. Contains only the fields that tests check. */
export interface Manifest {
  apiVersion: string;
  kind: string;
  metadata: { name: string; namespace?: string; labels?: StringMap };
  data?: StringMap;
  spec?: {
    replicas?: number;
    selector?: unknown;
    podSelector?: { matchLabels?: StringMap; matchExpressions?: { key: string; operator: string; values: string[] }[] };
    template?: { metadata: { labels: StringMap; annotations?: StringMap }; spec: PodSpec };
    scaleTargetRef?: { name: string };
    ports?: { name: string; port: number; targetPort: string }[];
    minReplicas?: number;
    maxReplicas?: number;
    minReplicaCount?: number;
    maxReplicaCount?: number;
    triggers?: { type: string; metadata: StringMap }[];
    ingress?: { from?: unknown[]; ports: { port: string }[] }[];
  };
}

/** The npm package with the schema of a manifest: Kubernetes, or KEDA. */
const schemaPackageOf = ({ apiVersion }: Manifest): string =>
  apiVersion.startsWith('keda.sh/') ? `@kubernetes-models/keda/${apiVersion}` : `kubernetes-models/${apiVersion}`;

/** Validates an object against the schema of its kind. @throws when a field is missing or has a wrong type. */
export async function validateManifest(manifest: Manifest): Promise<void> {
  const models = (await import(schemaPackageOf(manifest))) as Record<
    string,
    new (data: Manifest) => { validate: () => void }
  >;
  const Model = models[manifest.kind];
  if (!Model) throw new Error(`${schemaPackageOf(manifest)} has no schema for the kind ${manifest.kind}`);
  new Model(manifest).validate();
}

/**
 * Checks each manifest as an object literal of its TypeScript type, and returns the compiler errors. The schemas allow
 * unknown fields, so schema validation does not find a misspelt optional field.
 */
export function typeCheckManifests(manifests: readonly Manifest[]): string[] {
  const file = join(projectRoot, 'manifests.ts');
  const source = manifests
    .map((manifest, index) => {
      const literal = JSON.stringify(manifest, undefined, 1);
      return `export const _${index}: import('${schemaPackageOf(manifest)}').I${manifest.kind} = ${literal};`;
    })
    .join('\n');
  const options: ts.CompilerOptions = {
    module: ts.ModuleKind.NodeNext,
    target: ts.ScriptTarget.ES2022,
    lib: ['lib.es2022.d.ts'],
    types: [],
    strict: true,
    noEmit: true,
    skipLibCheck: true,
  };
  const host = ts.createCompilerHost(options);
  const { getSourceFile, fileExists } = host;
  host.fileExists = (name) => name === file || fileExists(name);
  host.getSourceFile = (name, ...rest) =>
    name === file ? ts.createSourceFile(name, source, ts.ScriptTarget.ES2022) : getSourceFile(name, ...rest);
  return ts
    .getPreEmitDiagnostics(ts.createProgram([file], options, host))
    .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'));
}

/** Returns whether a selector with these `matchLabels` selects an object with these `labels`. */
export function matchesLabels(matchLabels: StringMap, labels: StringMap): boolean {
  return Object.entries(matchLabels).every(([name, value]) => labels[name] === value);
}
