import { dirname, join } from 'node:path';
import { runCommand } from '../../processes/commands.js';
import { fetchGoProgram, type FetchOptions } from './go-program.js';
import type { VerifyProgram } from './program-sources.js';

/** Needs Go 1.26 or newer. */
const kubernetesVersion = '1.37.2';
const [majorVersion, minorVersion] = kubernetesVersion.split('.');
const versionPackage = 'k8s.io/component-base/version';

const apiServerName = 'kube-apiserver';
const etcdName = 'etcd';

/** The API server of Kubernetes and its database. */
export interface KubernetesPrograms {
  readonly apiServerPath: string;
  readonly etcdPath: string;
}

/** Returns the programs of a folder that `findKubernetesPrograms` found. */
export const kubernetesProgramsIn = (folder: string): KubernetesPrograms => ({
  apiServerPath: join(folder, apiServerName),
  etcdPath: join(folder, etcdName),
});

interface FindOptions extends FetchOptions {
  /** If false, the programs are not built, because the build takes minutes. */
  allowBuild?: boolean;
}

/**
 * Returns the folder with the programs of a Kubernetes API server, from the cache or after a build with Go.
 *
 * @throws when the programs are not in the cache and cannot be built.
 */
export async function findKubernetesPrograms({
  allowBuild = true,
  ...options
}: FindOptions): Promise<{ path: string }> {
  const folder = `kubernetes-${kubernetesVersion}`;
  const path = join(options.settings.cacheDir, folder);
  if (!allowBuild) {
    const { apiServerPath, etcdPath } = kubernetesProgramsIn(path);
    await Promise.all([verifyApiServer(apiServerPath), verifyEtcd(etcdPath)]).catch((error: unknown) => {
      throw new Error(
        `the API server of Kubernetes ${kubernetesVersion} was not found in ${path}: "npm run e2e:kubernetes" builds it once with Go`,
        { cause: error },
      );
    });
    return { path };
  }
  const module = {
    ...options,
    folder,
    module: 'k8s.io/kubernetes',
    version: kubernetesVersion,
    // Kubernetes 1.37.2 consists of modules with the version 0.37.2.
    localModulesVersion: kubernetesVersion.replace(/^\d+/, '0'),
  };
  await fetchGoProgram({
    ...module,
    name: apiServerName,
    package: './cmd/kube-apiserver',
    linkerFlags: [
      `-X ${versionPackage}.gitVersion=v${kubernetesVersion}`,
      `-X ${versionPackage}.gitMajor=${majorVersion}`,
      `-X ${versionPackage}.gitMinor=${minorVersion}`,
    ].join(' '),
    verify: verifyApiServer,
  });
  // The etcd that Kubernetes depends on. Most of its packages are already compiled for the API server.
  const etcd = await fetchGoProgram({
    ...module,
    name: etcdName,
    package: 'go.etcd.io/etcd/server/v3',
    verify: verifyEtcd,
  });
  return { path: dirname(etcd.path) };
}

const verifyApiServer: VerifyProgram = (path) => readVersion(path, /^Kubernetes v(\S+)/m);
const verifyEtcd: VerifyProgram = (path) => readVersion(path, /^etcd Version: (\S+)/m);

async function readVersion(path: string, pattern: RegExp): ReturnType<VerifyProgram> {
  const name = `"${path} --version"`;
  const output = await runCommand({ name, command: path, args: ['--version'], timeoutMs: 20_000 });
  const version = pattern.exec(output)?.[1];
  if (version === undefined) throw new Error(`${name} does not print the version: ${output.slice(0, 200)}`);
  return { path, version };
}
