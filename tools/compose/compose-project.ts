import { cp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { generateComposeSecrets, writeComposeSecrets } from '../compose-secrets/generate.js';
import { runCommand } from '../processes/commands.js';
import { freePorts } from '../processes/ports.js';
import { projectRoot } from '../settings/environment.js';
import type { ContainerEngine } from './engine.js';

const commandTimeoutMs = 5 * 60_000;
const COMPOSE_FILE = join(projectRoot, 'docker-compose.yml');
/** What the Compose files and the Dockerfile read. */
const COPIED_SOURCES = [
  'docker-compose.yml',
  'docker-compose.dev.yml',
  'Dockerfile',
  '.dockerignore',
  'package.json',
  'package-lock.json',
  'tsconfig.json',
  'tsconfig.build.json',
  'src',
  'tools',
  'examples',
  'deploy',
];
const ownImages = 'workflow-orchestration-patterns';
/** The variables of docker-compose.yml that set the published ports. */
const PORT_VARIABLES = ['API_PORT', 'WEB_UI_PORT', 'MAIL_PORT', 'GRAFANA_PORT', 'PROMETHEUS_PORT'] as const;

/** The fields of `docker inspect` that the tests check. */
const containerSchema = z.object({
  Id: z.string(),
  Name: z.string(),
  State: z.object({
    Status: z.string(),
    ExitCode: z.number(),
    StartedAt: z.string(),
    Health: z.object({ Status: z.string() }).optional(),
  }),
  Mounts: z.array(z.object({ Type: z.string(), Name: z.string().optional() })),
  Config: z.object({ Image: z.string(), Labels: z.record(z.string(), z.string()), Env: z.array(z.string()) }),
  NetworkSettings: z.object({
    Ports: z.record(z.string(), z.array(z.object({ HostIp: z.string(), HostPort: z.string() })).nullable()),
  }),
});
export type Container = z.infer<typeof containerSchema> & { service: string };

interface ComposeOptions {
  timeoutMs?: number;
  /** Other files than docker-compose.yml. */
  files?: readonly string[];
  /** False for files that are no part of this project. Default: true. */
  inProject?: boolean;
  /** Replaces variables, for example the version of the application. */
  env?: Record<string, string>;
}

/** Copies of the sources. The containers of docker-compose.dev.yml mount them. */
interface SourceCopy {
  /** The paths of the Compose files. */
  files: readonly string[];
  /** Replaces the first occurrence of a text in a file. @throws when the file does not contain the text. */
  replace(file: string, text: string, replacement: string): Promise<void>;
}

/** The services of docker-compose.yml as a separate project: with its own name, secrets, ports and image versions. */
export class ComposeProject {
  readonly name = `shop-e2e-${process.pid}`;
  readonly ports: Readonly<Record<(typeof PORT_VARIABLES)[number], number>>;
  /** The version of the images, so that the images of the user stay unchanged. */
  readonly version = '0.0.1-e2e';
  /** The version to which the tests upgrade. */
  readonly nextVersion = '0.0.2-e2e';
  /** The folder with the file of the secrets. */
  readonly folder: string;
  readonly #command: readonly [string, ...string[]];
  readonly #engine: ContainerEngine;

  private constructor(
    engine: ContainerEngine,
    command: readonly [string, ...string[]],
    folder: string,
    ports: readonly number[],
  ) {
    this.#engine = engine;
    this.#command = command;
    this.folder = folder;
    this.ports = Object.fromEntries(
      PORT_VARIABLES.map((name, index) => [name, ports[index]!]),
    ) as ComposeProject['ports'];
  }

  /** Generates secrets in `folder`, like `npm run secrets`. `command` starts Docker Compose. */
  static async create(
    engine: ContainerEngine,
    command: readonly [string, ...string[]],
    folder: string,
  ): Promise<ComposeProject> {
    const project = new ComposeProject(engine, command, folder, await freePorts(PORT_VARIABLES.length));
    await writeComposeSecrets(project.secretsFile);
    return project;
  }

  get secretsFile(): string {
    return join(this.folder, '.env');
  }

  get apiUrl(): string {
    return `http://127.0.0.1:${this.ports.API_PORT}`;
  }

  /** Runs a command of Docker Compose and returns its output. */
  async compose(
    args: readonly string[],
    { timeoutMs = commandTimeoutMs, files = [COMPOSE_FILE], inProject = true, env }: ComposeOptions = {},
  ): Promise<string> {
    const [command, ...first] = this.#command;
    const project = inProject ? ['-p', this.name, '--env-file', this.secretsFile] : [];
    return runCommand({
      name: `docker compose ${args.join(' ')}`,
      command,
      args: [...first, '--progress', 'plain', ...project, ...files.flatMap((file) => ['-f', file]), ...args],
      env: {
        ...this.#engine.env,
        ...Object.fromEntries(Object.entries(this.ports).map(([name, port]) => [name, String(port)])),
        APPLICATION_VERSION: this.version,
        ...env,
      },
      timeoutMs,
    });
  }

  /** Returns the value of a secret. */
  async readSecret(name: string): Promise<string> {
    const text = await readFile(this.secretsFile, 'utf8');
    return new RegExp(`^${name}='(.*)'$`, 'm').exec(text)?.[1] ?? '';
  }

  /** Replaces a secret by a new one. */
  async changeSecret(name: string): Promise<void> {
    const text = await readFile(this.secretsFile, 'utf8');
    const line = `${name}='${generateComposeSecrets()[name]}'`;
    await writeFile(
      this.secretsFile,
      text.replace(new RegExp(`^${name}=.*$`, 'm'), () => line),
    );
  }

  /** Copies the sources and both Compose files into `folder`, so that a test can change the copies. */
  async copySources(): Promise<SourceCopy> {
    const target = join(this.folder, 'sources');
    for (const name of COPIED_SOURCES) await cp(join(projectRoot, name), join(target, name), { recursive: true });
    return {
      files: ['docker-compose.yml', 'docker-compose.dev.yml'].map((file) => join(target, file)),
      async replace(file, text, replacement) {
        const path = join(target, file);
        const source = await readFile(path, 'utf8');
        if (!source.includes(text)) throw new Error(`${file} does not contain ${text}`);
        await writeFile(
          path,
          source.replace(text, () => replacement),
        );
      },
    };
  }

  /** Returns the images of other vendors: those of docker-compose.yml, and those on which the Dockerfile builds. */
  async requiredImages(): Promise<string[]> {
    const listed = (await this.compose(['config', '--images'])).split('\n');
    const dockerfile = await readFile(join(projectRoot, 'Dockerfile'), 'utf8');
    const args = Object.fromEntries(
      [...dockerfile.matchAll(/^ARG (\w+)=(\S+)$/gm)].map(([, name, value]) => [name!, value!]),
    );
    const bases = [...dockerfile.matchAll(/^FROM (\S+:\S+)/gm)].map(([, image]) =>
      image!.replace(/\$\{(\w+)\}/g, (_, name: string) => args[name] ?? ''),
    );
    return [...new Set([...bases, ...listed])].filter((image) => image && !image.startsWith(ownImages)).sort();
  }

  /** Returns all containers of the project, also those that have exited. */
  async containers(): Promise<Container[]> {
    const ids = (await this.#engine.docker(['ps', '-aq', '--filter', `label=com.docker.compose.project=${this.name}`]))
      .split('\n')
      .filter(Boolean);
    if (ids.length === 0) return [];
    const containers = z.array(containerSchema).parse(JSON.parse(await this.#engine.docker(['inspect', ...ids])));
    return containers
      .map((container) => ({ ...container, service: container.Config.Labels['com.docker.compose.service'] ?? '' }))
      .sort((one, two) => one.Name.localeCompare(two.Name));
  }

  /** Returns the last lines of each container that does not work. */
  async readLogs(): Promise<string> {
    const logs: string[] = [];
    for (const { Name, State } of await this.containers()) {
      const works = State.Status === 'running' && State.Health?.Status !== 'unhealthy';
      if (works || State.Status === 'created' || (State.Status === 'exited' && State.ExitCode === 0)) continue;
      const lines = await this.#engine.readLogs(Name, 30);
      logs.push(`${Name} is ${State.Status}, code ${State.ExitCode}:\n${lines}`);
    }
    return logs.join('\n');
  }

  /** Removes all containers, volumes, networks and images of the project. */
  async remove(): Promise<void> {
    await this.compose(['--profile', '*', 'down', '--volumes', '--remove-orphans']).catch(() => undefined);
    const images = [ownImages, `${ownImages}-fakes`, `${ownImages}-development`].flatMap((name) => [
      `${name}:${this.version}`,
      `${name}:${this.nextVersion}`,
    ]);
    await this.#engine.docker(['image', 'rm', ...images]).catch(() => undefined);
  }
}
