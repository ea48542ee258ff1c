import { Writable } from 'node:stream';
import { pino } from 'pino';
import { expect, test } from 'vitest';
import { truncateLine, temporalLogger } from '../../src/observability/logger.js';

test('writes log entries of the Temporal SDK without their payloads', () => {
  const lines: string[] = [];
  const stream = new Writable({
    write(chunk, _encoding, done) {
      lines.push(String(chunk));
      done();
    },
  });
  const logger = temporalLogger(pino({ level: 'trace' }, stream));
  const payloads = { input: [{ data: 'secret' }] };

  logger.error('Error while processing ActivityTask.start', {
    activityType: 'chargePayment',
    workflowRunId: 'run',
    taskToken: 'secret',
    task: JSON.stringify(payloads),
    taskEncoded: 'secret',
  });
  logger.trace('Got activity task', { taskToken: 'secret', start: payloads });
  logger.trace('Got workflow activation', { runId: 'run', jobs: [payloads] });

  expect(lines).toHaveLength(3);
  expect(JSON.parse(lines[0]!)).toMatchObject({ activityType: 'chargePayment', runId: 'run' });
  expect(lines.join()).not.toContain('secret');
});

test('logs what the SDK reports about a worker without Nexus services at level debug', () => {
  const lines: string[] = [];
  const logger = temporalLogger(pino({ level: 'debug' }, { write: (line: string) => void lines.push(line) }));

  logger.info('No Nexus services registered, not polling for Nexus tasks');
  logger.info('workflow ended', { outcome: 'completed' });

  expect(lines.map((line) => JSON.parse(line) as object)).toMatchObject([
    { level: 20, msg: 'No Nexus services registered, not polling for Nexus tasks' },
    { level: 30, msg: 'workflow ended', outcome: 'completed' },
  ]);
});

test('writes every log entry as one valid JSON line of limited length', () => {
  const lines: string[] = [];
  const stream = { write: (line: string) => void lines.push(line) };
  const logger = pino({ hooks: { streamWrite: truncateLine } }, stream);
  const megabyte = 'x'.repeat(1_000_000);

  logger.info({ text: 'a\ud800b\0c \\ud800', '\udc00': 1 }, 'short \ud800');
  logger.warn({ text: megabyte, list: [`${megabyte}\ud800`] }, megabyte);
  logger.warn({ list: Array.from({ length: 100_000 }, () => 'item'), kept: 'yes' }, 'many');

  const [first, second, third] = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(first).toMatchObject({ text: 'a\ufffdb\ufffdc \\ud800', '\ufffd': 1, msg: 'short \ufffd' });
  expect(second).toMatchObject({ level: 40, msg: expect.stringMatching(/^x{1999}…$/) });
  expect(third).toMatchObject({ kept: 'yes', msg: 'many', truncated: true });
  for (const line of lines) {
    expect(line).toMatch(/^[^\n]{1,32000}\n$/);
    expect(line).not.toMatch(/[^\\]\\ud8/);
  }
});
