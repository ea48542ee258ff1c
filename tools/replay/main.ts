import { DefaultLogger, makeTelemetryFilterString, Runtime } from '@temporalio/worker';
import { runReplay } from './command.js';
import { streamReport } from '../terminal/report.js';
import { inheritedEnvironment } from '../stack/settings.js';

// This command reports its findings itself; the SDK would log them again, at length.
const filter = makeTelemetryFilterString({ core: 'ERROR', other: 'ERROR' });
Runtime.install({
  logger: new DefaultLogger('ERROR', () => undefined),
  telemetryOptions: { logging: { filter, forward: {} } },
});

/** `npm run replay [-- options]`: runs tools/replay/command.ts as a process. */
const { say } = streamReport();
const complain = (text: string) => console.error(text);
process.exit(await runReplay(process.argv.slice(2), { env: inheritedEnvironment(), say, complain }));
