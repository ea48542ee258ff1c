import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { findOnPath, runCommand } from '../../processes/commands.js';
import { inheritedEnvironment } from '../../settings/environment.js';
import type { Settings } from '../../settings/settings.js';
import type { Reporter } from '../../terminal/reporter.js';
import { fetchSource } from './fetch-program.js';
import {
  cacheSource,
  findProgram,
  variableSource,
  type FoundProgram,
  type LocatedProgram,
  type ProgramSource,
  type ProgramVariable,
} from './program-sources.js';
import { sdkVersion, vendorDownloadSource } from './vendor-download.js';

const mavenArtifactVersion = '1.38.0';
const minimumJavaVersion = 17;
const mavenTimeoutMs = 10 * 60_000;

interface FindOptions {
  settings: Pick<Settings, 'cacheDir' | 'temporalTestServerPath'>;
  report: Reporter;
  /** Replaces the default sources in tests. */
  sources?: readonly ProgramSource[];
}

/**
 * Finds the time-skipping test server. Tries these sources in order: TEMPORAL_TEST_SERVER_PATH, the cache, a download
 * through the SDK, and the Maven artifact, which needs Java. `path` is the executable for
 * `TestWorkflowEnvironment.createTimeSkipping({ server: { executable: { type: 'existing-path', path } } })`. A server
 * from the cache or a download stops automatically when the process that started it has ended.
 *
 * @throws SettingsError when the file at TEMPORAL_TEST_SERVER_PATH does not exist, and ProgramNotFoundError when no
 * source works.
 */
export async function findTimeSkippingServer({ settings, report, sources }: FindOptions): Promise<LocatedProgram> {
  const variable: ProgramVariable = {
    name: 'TEMPORAL_TEST_SERVER_PATH',
    path: settings.temporalTestServerPath,
    example: '/usr/local/bin/temporal-test-server',
    fix: 'TEMPORAL_TEST_SERVER_PATH=<path of a temporal-test-server program> npm test',
    verify: async (path) => {
      if (!existsSync(path)) throw new Error(`the file ${path} does not exist`);
      return { path, version: 'unknown' };
    },
  };
  return findProgram({
    program: 'time-skipping test server',
    variable,
    sources: sources ?? [variableSource(variable), ...serverSources(settings.cacheDir, report)],
  });
}

function serverSources(cacheDir: string, report: Reporter): ProgramSource[] {
  const binary = join(cacheDir, `test-server-for-sdk-${sdkVersion}`, 'temporal-test-server');
  const jars = join(cacheDir, `test-server-${mavenArtifactVersion}`, 'jars');
  return [
    cacheSource({
      cacheDir,
      fix: `put a temporal-test-server program at ${binary}`,
      paths: [binary, jars],
      verify: (path) => (path === binary ? wrapBinary(binary) : wrapJars(jars)),
    }),
    vendorDownloadSource({
      server: 'time-skipping',
      target: binary,
      report,
      step: 'downloading the time-skipping test server',
      verify: wrapBinary,
    }),
    fetchSource({
      name: `the Maven artifact io.temporal:temporal-test-server:${mavenArtifactVersion}, run by java`,
      fix: `install java ${minimumJavaVersion} or newer and Maven (Debian: apt-get install default-jre-headless maven) and let it reach its repository`,
      target: jars,
      report,
      step: 'downloading the time-skipping test server with Maven (38 MB)',
      checkRequirements: async () => void (await findJava()),
      fetch: () => downloadWithMaven(jars),
      verify: wrapJars,
    }),
  ];
}

/** Returns a start script for the server in a binary file. */
async function wrapBinary(binary: string): Promise<FoundProgram> {
  checkExists(binary);
  return { path: await writeStartScript(dirname(binary), shellQuote(binary)), version: `for SDK ${sdkVersion}` };
}

/** Returns a start script for the server in a folder of JAR files. */
async function wrapJars(jars: string): Promise<FoundProgram> {
  checkExists(jars);
  // Options for a short-lived process: a fast start, one garbage collection thread, and no optimising compiler.
  const options = `-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -cp ${shellQuote(`${jars}/*`)}`;
  const command = `${shellQuote(await findJava())} ${options} io.temporal.testserver.TestServer`;
  return { path: await writeStartScript(dirname(jars), command), version: mavenArtifactVersion };
}

function checkExists(path: string): void {
  if (!existsSync(path)) throw new Error(`${path} does not exist`);
}

async function findJava(): Promise<string> {
  const home = inheritedEnvironment()['JAVA_HOME'];
  const command = home ? join(home, 'bin', 'java') : findOnPath('java');
  if (!command) throw new Error('there is no "java" on PATH and JAVA_HOME is not set');
  const output = await runCommand({ name: `"${command} -version"`, command, args: ['-version'], timeoutMs: 20_000 });
  const major = Number(/version "(?:1\.)?(\d+)/.exec(output)?.[1]);
  if (!(major >= minimumJavaVersion))
    throw new Error(`${command} is version ${major}; ${minimumJavaVersion} or newer is needed`);
  return command;
}

async function downloadWithMaven(target: string): Promise<void> {
  const maven = findOnPath('mvn');
  if (!maven) throw new Error('there is no "mvn" on PATH');
  const project = await mkdtemp(join(tmpdir(), 'time-skipping-server-'));
  const draft = `${target}.${randomUUID()}`;
  try {
    await writeFile(join(project, 'pom.xml'), mavenProject);
    await runCommand({
      name: 'Maven',
      command: maven,
      args: [
        '--batch-mode',
        '--quiet',
        'org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies',
        '-DincludeScope=runtime',
        `-DoutputDirectory=${draft}`,
      ],
      cwd: project,
      timeoutMs: mavenTimeoutMs,
    });
    if (!(await readdir(draft)).some((name) => name.startsWith('temporal-test-server-')))
      throw new Error('Maven did not download the artifact temporal-test-server');
    await rename(draft, target);
  } finally {
    await rm(draft, { recursive: true, force: true });
    await rm(project, { recursive: true, force: true });
  }
}

const mavenProject = `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>local</groupId>
  <artifactId>time-skipping-server</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>io.temporal</groupId>
      <artifactId>temporal-test-server</artifactId>
      <version>${mavenArtifactVersion}</version>
    </dependency>
    <!-- Without a logger, the server prints a warning on each start. -->
    <dependency>
      <groupId>org.slf4j</groupId>
      <artifactId>slf4j-nop</artifactId>
      <version>1.7.36</version>
    </dependency>
  </dependencies>
</project>
`;

/**
 * Writes a script that starts the server and a watcher. The SDK stops its server with SIGKILL, so the server must be
 * the process that the SDK started (`exec`). A killed test run does not stop its server. Therefore the watcher checks
 * every second whether the test run still exists, and kills the server if not.
 */
async function writeStartScript(folder: string, command: string): Promise<string> {
  const path = join(folder, 'run-test-server');
  const draft = `${path}.${randomUUID()}`;
  await writeFile(
    draft,
    `#!/bin/sh
server=$$
tests=$PPID
(
  while kill -0 "$server" 2>/dev/null; do
    kill -0 "$tests" 2>/dev/null || { kill -9 "$server" 2>/dev/null; exit; }
    sleep 1
  done
) </dev/null >/dev/null 2>&1 &
exec ${command} "$@"
`,
  );
  await chmod(draft, 0o755);
  await rename(draft, path);
  return path;
}

function shellQuote(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}
