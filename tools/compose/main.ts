import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { liveProcesses, stopLiveProcesses } from '../processes/processes.js';
import { loadSettings } from '../settings/settings.js';
import { parseArguments } from '../terminal/command-line.js';
import { printFailure } from '../terminal/command.js';
import { createReporter } from '../terminal/reporter.js';
import { ComposeProject } from './compose-project.js';
import { ENGINE_PROCESS, findEngine, NoEngineError, type ContainerEngine } from './engine.js';
import { findCompose } from './programs.js';
import { fetchStandInPrograms, provideImages } from './stand-in-images.js';
import { STEPS } from './steps.js';

/**
 * `npm run e2e:compose`: starts docker-compose.yml as its first lines say, and tests it on a container engine: one that
 * runs, or a private one. The exit code is 1 when a step fails, and 3 when there is no engine. At the end, nothing
 * remains but images and the programs in the cache.
 */
const usage = `Usage: npm run e2e:compose [-- --prepare]
  --prepare   only fetches the programs that a machine without an image registry needs`;
const NO_ENGINE = 3;
const report = createReporter();
const settings = loadSettings();

const results: string[] = [];
let interrupted = false;
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.on(signal, () => {
    interrupted = true;
    // The current step then fails, and everything but the engine is removed before the engine stops.
    for (const child of liveProcesses()) if (child.name !== ENGINE_PROCESS) void child.stop();
  });

let exitCode = 0;
try {
  const { values } = parseArguments({ options: { prepare: { type: 'boolean' } } });
  if (values.prepare) {
    await findCompose({ settings, report });
    await fetchStandInPrograms({ settings, report });
  } else await runTests();
} catch (error) {
  exitCode = error instanceof NoEngineError ? NO_ENGINE : 1;
  if (error instanceof NoEngineError) report.print(`SKIPPED: ${error.message}`);
  else printFailure(error, usage, (text) => report.print(text));
}
await stopLiveProcesses();
process.exit(interrupted ? 1 : exitCode);

async function runTests(): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'compose-'));
  let engine: ContainerEngine | undefined;
  let project: ComposeProject | undefined;
  try {
    engine = await findEngine(folder);
    project = await ComposeProject.create(engine, await findCompose({ settings, report }), folder);
    const origin = await provideImages(engine, project, { settings, report });
    report.print(`On ${engine.description}, with ${origin}:`);
    await runSteps(engine, project);
  } finally {
    await project?.remove();
    await engine?.stop();
    await rm(folder, { recursive: true, force: true });
  }
  report.print(`\n${results.join('\n')}`);
}

/** Runs the steps in sequence. Stops after a failed step, because each step needs the state of the previous step. */
async function runSteps(engine: ContainerEngine, project: ComposeProject): Promise<void> {
  for (const { title, run } of STEPS) {
    if (interrupted) return;
    const started = Date.now();
    const seconds = () => `${Math.round((Date.now() - started) / 1_000)} s`;
    try {
      const found = await report.withProgress(title, () => run({ engine, project, report }));
      results.push(`  passed  ${title} (${found === undefined ? '' : `${found}, `}${seconds()})`);
    } catch (error) {
      exitCode = 1;
      results.push(`  FAILED  ${title} (${seconds()})`);
      report.print(`FAILED  ${title}: ${(error as Error).message}`);
      report.print(await project.readLogs().catch(() => ''));
      return;
    }
  }
}
