import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readCommandLine } from '../../../tools/batch/command-line.js';
import { followBatch } from '../../../tools/batch/follow-batch.js';
import {
  createDisplay,
  formatFailures,
  formatProgress,
  hasEnded,
  createLineDisplay,
  formatOutcome,
} from '../../../tools/batch/progress.js';
import { formatRejection } from '../../../tools/batch/upload.js';
import { batchStatus, type BatchResource } from '../../../src/schemas/batch.js';
import { freePort, projectRoot, startProcess, waitUntil } from '../../support/processes.js';

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

function makeBatch(changes: Partial<BatchResource> = {}): BatchResource {
  const counts = { itemsPerChunk: 1_000, total: 100_000, succeeded: 39_997, failed: 3, attempt: 1, chunks: 100 };
  return { batchId: 'my-batch', operation: 'restock', status: 'running', ...counts, ...changes };
}

/** Creates an output stream. `text` returns everything that was written since its last call. */
function makeOutput(terminal?: { isTTY: true; columns: number }) {
  const stream = Object.assign(new PassThrough(), terminal);
  return { stream, text: () => String(stream.read() ?? '') };
}

interface FakeApi {
  url: string;
  requests: string[];
  close: () => Promise<void>;
}

async function startFakeApi(
  respond: (request: IncomingMessage, response: ServerResponse, body: string) => unknown,
  port = 0,
): Promise<FakeApi> {
  const requests: string[] = [];
  const server = createServer((request, response) => {
    requests.push(`${request.method} ${request.url}`);
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => respond(request, response, Buffer.concat(parts).toString()));
  });
  await new Promise<void>((listening) => server.listen(port, '127.0.0.1', listening));
  const close = () =>
    new Promise<void>((closed) => {
      server.close(() => closed());
      server.closeAllConnections();
    });
  cleanups.push(close);
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, requests, close };
}

const respondJson = (response: ServerResponse, status: number, body: unknown) =>
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));

describe('the command line of npm run batch', () => {
  test('derives the operation and the format from the file name', () => {
    expect(readCommandLine(['examples/restock.ndjson'])).toEqual({
      filePath: 'examples/restock.ndjson',
      contentType: 'application/x-ndjson',
      isCompressed: false,
      delimiter: undefined,
      operation: 'restock',
      batchId: expect.stringMatching(/^restock-[0-9a-f]{8}$/),
      itemsPerChunk: undefined,
      apiUrl: undefined,
    });
    expect(readCommandLine(['/tmp/price-update 2.CSV'])).toMatchObject({
      contentType: 'text/csv',
      operation: 'price-update',
    });
    expect(readCommandLine(['price-update.csv.gz'])).toMatchObject({
      contentType: 'text/csv',
      isCompressed: true,
      operation: 'price-update',
    });
  });

  test('reads all options', () => {
    const options = ['--operation', 'restock', '--id', 'mine', '--items-per-chunk', '7', '--api', 'http://api.test/'];
    expect(readCommandLine(['goods.csv', '--delimiter', 'tab', ...options])).toEqual({
      filePath: 'goods.csv',
      contentType: 'text/csv',
      isCompressed: false,
      delimiter: 'tab',
      operation: 'restock',
      batchId: 'mine',
      itemsPerChunk: 7,
      apiUrl: 'http://api.test',
    });
  });

  test.each([
    [
      ['prices.csv'],
      /The name of prices\.csv does not start with an operation\..*--operation to one of: price-update, restock/,
    ],
    [['restock.csv', '--operation', 'discount'], /There is no operation discount\..*price-update, restock/],
    [['restock.xlsx'], /\.ndjson, \.jsonl, \.csv/],
    [['restock'], /\.ndjson, \.jsonl, \.csv/],
    [['restock.csv', '--items-per-chunk', '1e9'], /--items-per-chunk 1e9: .* 1 to 5000/],
    [['restock.csv', '--items-per-chunk', ''], /--items-per-chunk/],
    [['restock.csv', '--id', 'a/b'], /--id a\/b: must be 1 to 64/],
    [['restock.csv', '--api', '127.0.0.1:3000'], /--api 127\.0\.0\.1:3000: must be a URL/],
  ])('rejects %j with an error that contains the valid values', (args, message) => {
    expect(() => readCommandLine(args)).toThrow(message);
    expect(() => readCommandLine(args)).toThrow(expect.objectContaining({ name: 'Error' }));
  });

  test.each([[[]], [['a.csv', 'b.csv']], [['a.csv', '--speed', '9']], [['a.csv', '--id']]])(
    'fails with a usage error for the arguments %j',
    (args) => {
      expect(() => readCommandLine(args)).toThrow(expect.objectContaining({ name: 'UsageError' }));
    },
  );
});

describe('batch progress display', () => {
  test.each([
    [{ itemsPerSecond: 52_000.4, secondsLeft: 1 }, '40,000 of 100,000 (40 %), 3 failed, 52,000/s, 1 s left'],
    [{ itemsPerSecond: 0.25, secondsLeft: 3_725 }, '40,000 of 100,000 (40 %), 3 failed, 0.3/s, 1 h 2 min left'],
    [{ secondsLeft: 60 }, '40,000 of 100,000 (40 %), 3 failed, 1 min left'],
    [{ succeeded: 99_996 }, '99,999 of 100,000 (99 %), 3 failed'],
    [{ status: 'paused', itemsPerSecond: 0, secondsLeft: 9 }, 'paused at 40,000 of 100,000 (40 %), 3 failed'],
    [{ status: 'staged', succeeded: 0, failed: 0 }, 'staged at 0 of 100,000 (0 %), 0 failed'],
  ] as const)('formats the progress %j', (changes, text) => {
    expect(formatProgress(makeBatch(changes))).toBe(text);
  });

  test('without a terminal, prints changed progress at most every two seconds', () => {
    let now = 0;
    const { stream, text } = makeOutput();
    const display = createLineDisplay(stream, () => now);
    const show = (at: number, changes: Partial<BatchResource>) => {
      now = at;
      display.update(makeBatch({ total: 10, failed: 0, ...changes }));
    };

    show(0, { succeeded: 1 });
    show(1_999, { succeeded: 2 });
    show(2_000, { succeeded: 3 });
    show(9_000, { succeeded: 3 });
    show(9_100, { succeeded: 3, status: 'paused' });
    display.stop();

    expect(text().split('\n')).toEqual([
      'restock: 1 of 10 (10 %), 0 failed',
      'restock: 3 of 10 (30 %), 0 failed',
      'restock: paused at 3 of 10 (30 %), 0 failed',
      '',
    ]);
  });

  test.each([200, 80, 40])('fits the progress bar into %i columns', (columns) => {
    const { stream, text } = makeOutput({ isTTY: true, columns });
    const display = createDisplay(stream);
    display.update(makeBatch({ itemsPerSecond: 52_000, secondsLeft: 1 }));
    display.printLine('The API is available again');
    display.update(makeBatch({ succeeded: 99_997, status: 'completed_with_failures' }));
    display.stop();

    // eslint-disable-next-line no-control-regex
    const lines = text().split(/\x1b\[[0-9;]*[A-Za-z]|\x1b[78]|\n/);
    const isShown = lines.filter(Boolean);
    expect(isShown[0]).toMatch(/^restock █+░+ 40,000 of 100/);
    expect(isShown).toContain('The API is available again');
    expect(isShown.at(-1)).toMatch(/^restock █+ 100,000 of 100/);
    expect(Math.max(...isShown.map((line) => line.length))).toBeLessThanOrEqual(columns);
  });

  test('hasEnded accepts only the final statuses of a batch', () => {
    const ended = batchStatus.options.filter((status) => hasEnded(makeBatch({ status })));
    expect(ended).toEqual(['completed', 'completed_with_failures', 'cancelled', 'failed']);
  });

  test.each([
    [{ status: 'completed', succeeded: 100_000, failed: 0 }, 'completed: 100,000 of 100,000 succeeded, 0 failed'],
    [
      { status: 'completed_with_failures', succeeded: 99_997 },
      'completed with failures: 99,997 of 100,000 succeeded, 3 failed',
    ],
    [{ status: 'cancelled' }, 'was cancelled: 39,997 of 100,000 succeeded, 3 failed, 60,000 not processed'],
  ] as const)('summarizes the outcome %j in one line', (changes, text) => {
    expect(formatOutcome(makeBatch(changes))).toBe(`my-batch ${text}`);
  });

  test('prints the path of the other failed items', () => {
    const reason = { type: 'UnknownSku', message: 'not in the catalogue: X' };
    expect(formatFailures([{ line: 5, item: { sku: 'X' }, reason }], makeBatch({ failed: 1_235 }))).toEqual([
      '  line 5: UnknownSku, not in the catalogue: X',
      '  … 1,234 more: GET /v1/batches/my-batch/failures',
    ]);
  });

  test.each([
    [12, '  … 2 more'],
    [100, '  … at least 90 more'],
  ])('of %i invalid lines, prints the first ten', (count, more) => {
    const errors = Array.from({ length: count }, (_, index) => ({
      line: index + 7,
      pointer: '/quantity',
      detail: 'is wrong',
    }));
    const rejected = { title: 'Some items are not valid', detail: 'many lines are invalid', status: 422, errors };
    expect(formatRejection(422, JSON.stringify(rejected)).split('\n')).toEqual([
      'The API returned 422, Some items are not valid: many lines are invalid',
      ...Array.from({ length: 10 }, (_, index) => `  line ${index + 7} /quantity: is wrong`),
      more,
    ]);
  });

  test('prints each invalid query field once', () => {
    const errors = [{ pointer: '/batchId', detail: 'is wrong' }];
    const rejected = { title: 'The request is not valid', detail: '/batchId is wrong', errors };
    expect(formatRejection(400, JSON.stringify(rejected)).split('\n')).toEqual([
      'The API returned 400, The request is not valid',
      '  /batchId: is wrong',
    ]);
  });

  test('prints an error response unchanged if it is not a problem document', () => {
    expect(formatRejection(502, '<h1>Bad Gateway</h1>')).toBe('The API returned 502: <h1>Bad Gateway</h1>');
  });
});

describe('following a batch', () => {
  const pollOptions = { intervalMs: 10, timeoutMs: 10_000 };

  test('prints a warning and waits while the API restarts', async () => {
    const port = await freePort();
    const { stream, text } = makeOutput();
    const first = await startFakeApi((_, response) => respondJson(response, 200, makeBatch()), port);
    const following = followBatch(`${first.url}/v1/batches/my-batch`, createLineDisplay(stream), pollOptions);
    await waitUntil(() => first.requests[1], { description: 'a second poll', timeoutMs: 10_000, intervalMs: 5 });
    await first.close();
    let output = '';
    const hasWarned = () => (output += text()).includes('The API is unavailable') || undefined;
    await waitUntil(hasWarned, { description: 'the note', timeoutMs: 10_000, intervalMs: 5 });
    let responses = 0;
    await startFakeApi(
      (_, response) =>
        ++responses < 3
          ? respondJson(response, 503, { title: 'A part of the service is unavailable' })
          : respondJson(response, 200, makeBatch({ status: 'completed' })),
      port,
    );

    expect((await following).status).toBe('completed');
    expect((output + text()).match(/^The API is .*$/gm)).toEqual([
      expect.stringMatching(/^The API is unavailable \(.+\), retrying for up to 10 s$/),
      'The API is available again',
    ]);
  });

  test('fails with the reason when the API stays unavailable until the timeout', async () => {
    const api = await startFakeApi((_, response) => respondJson(response, 503, {}));
    const following = followBatch(`${api.url}/x`, createLineDisplay(makeOutput().stream), {
      intervalMs: 10,
      timeoutMs: 100,
    });
    await expect(following).rejects.toThrow(/timed out after 0\.1 s .*: status 503$/);
  });

  test('fails immediately on an error response that is final', async () => {
    const api = await startFakeApi((_, response) => respondJson(response, 404, { title: 'There is no such resource' }));
    const following = followBatch(`${api.url}/x`, createLineDisplay(makeOutput().stream), pollOptions);
    await expect(following).rejects.toThrow(/returned 404: .*no such resource/);
    expect(api.requests).toHaveLength(1);
  });
});

describe('npm run batch against a fake API', { timeout: 60_000 }, () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'batch-'));
    cleanups.push(() => rm(folder, { recursive: true }));
  });

  async function start(...args: string[]) {
    const lines = { stdout: [] as string[], stderr: [] as string[] };
    const command = await startProcess({
      name: 'batch',
      command: process.execPath,
      args: ['tools/run.mjs', 'tools/batch/main.ts', ...args],
      // An empty folder and an unused port. The command then finds no running stack.
      env: { DATA_DIR: folder, PORT: String(await freePort()) },
      cwd: projectRoot,
      onLine: (line, stream) => lines[stream].push(line),
    });
    cleanups.push(() => command.stop());
    return { command, lines };
  }

  async function run(...args: string[]) {
    const { command, lines } = await start(...args);
    const { code } = await command.exited;
    return { code, stdout: lines.stdout.join('\n'), stderr: lines.stderr.join('\n') };
  }

  const queryOf = (request: IncomingMessage) => new URL(request.url!, 'http://api.test').searchParams;

  test('uploads the file and exits with 0 when every item succeeds', async () => {
    const file = join(folder, 'restock.ndjson');
    const line = '{"sku":"MUG-ENAMEL","quantity":1}\n';
    await writeFile(file, line.repeat(100_000));
    let sent: string | undefined;
    const api = await startFakeApi((request, response, body) => {
      if (request.method === 'GET') return respondJson(response, 200, makeBatch({ status: 'completed', failed: 0 }));
      sent = body;
      expect(request.headers['content-type']).toBe('application/x-ndjson');
      return respondJson(response, 202, { batchId: 'mine', status: 'running', total: 100_000 });
    });

    const { code, stdout, stderr } = await run(file, '--id', 'mine', '--items-per-chunk', '100', '--api', api.url);

    expect(stderr).toBe('');
    expect(stdout).toContain(`mine: 100,000 items, ${api.url}/v1/batches/mine`);
    expect(code).toBe(0);
    expect(api.requests).toEqual([
      'POST /v1/batches?operation=restock&batchId=mine&itemsPerChunk=100',
      'GET /v1/batches/mine',
    ]);
    expect(sent === line.repeat(100_000)).toBe(true);
  });

  test.each(['cancelled', 'failed'] as const)('exits with 1 when the batch ends with status %s', async (status) => {
    const api = await startFakeApi((request, response) =>
      request.method === 'POST'
        ? respondJson(response, 202, { batchId: 'mine', status: 'running', total: 9 })
        : respondJson(response, 200, makeBatch({ status, failed: 0 })),
    );
    const { code, stdout } = await run('examples/restock.ndjson', '--api', api.url);
    expect(stdout).toContain(status);
    expect(code).toBe(1);
  });

  test('on Ctrl-C, exits with 130 and prints that the batch continues', async () => {
    const api = await startFakeApi((request, response) =>
      request.method === 'POST'
        ? respondJson(response, 202, { batchId: 'mine', status: 'running', total: 9 })
        : respondJson(response, 200, makeBatch()),
    );
    const { command, lines } = await start('examples/restock.ndjson', '--id', 'mine', '--api', api.url);
    const isShown = () => lines.stdout.some((line) => line.startsWith('restock: 40,000 of 100,000')) || undefined;
    await waitUntil(isShown, { description: 'its progress', timeoutMs: 30_000 });
    command.kill('SIGINT');

    expect(await command.exited).toEqual({ code: 130, signal: null });
    expect(lines.stdout.slice(-3)).toEqual([
      'The batch mine continues without this command.',
      `  Follow it: curl -sN ${api.url}/v1/batches/mine/events`,
      `  Cancel it: curl -s -X POST ${api.url}/v1/batches/mine/cancel`,
    ]);
  });

  test('on Ctrl-C during the upload, does not print that the batch exists', async () => {
    let arrived = false;
    const api = await startFakeApi(() => (arrived = true));
    const { command, lines } = await start('examples/restock.ndjson', '--id', 'mine', '--api', api.url);
    await waitUntil(() => arrived || undefined, { description: 'the upload', timeoutMs: 30_000 });
    command.kill('SIGINT');

    expect(await command.exited).toEqual({ code: 130, signal: null });
    expect(lines.stdout.at(-1)).toMatch(/^The upload was not finished\. .*\/v1\/batches\/mine$/);
  });

  test('exits with 1 when the batch id belongs to different content', async () => {
    const api = await startFakeApi((request, response) => {
      expect(queryOf(request).get('operation')).toBe('price-update');
      return respondJson(response, 409, { title: 'The request conflicts', detail: 'the id belongs to another batch' });
    });
    const { code, stderr } = await run('examples/price-update.csv', '--api', api.url);
    expect(stderr).toBe('The API returned 409, The request conflicts: the id belongs to another batch');
    expect(code).toBe(1);
  });

  test('prints that the command can be repeated safely if the API at --api is unreachable', async () => {
    const url = `http://127.0.0.1:${await freePort()}`;
    const { code, stderr } = await run('examples/restock.ndjson', '--id', 'mine', '--api', url);
    expect(stderr.split('\n')).toEqual([
      expect.stringMatching(/^The upload to http:\/\/127\.0\.0\.1:\d+ failed: connect ECONNREFUSED /),
      'The same command with --id mine is safe to repeat: it does not start a second batch.',
    ]);
    expect(code).toBe(1);
  });

  test('without a running stack, exits with 1 and prints how to start a stack', async () => {
    const { code, stderr } = await run('examples/restock.ndjson');
    expect(stderr).toMatch(/^No stack is running\. Start one with "npm start"/);
    expect(code).toBe(1);
  });

  test.each([
    ['missing/restock.csv', 'There is no file missing/restock.csv.'],
    ['restock.csv', 'restock.csv is a folder, not a file.'],
  ])('prints one line when the file is %s', async (name, message) => {
    await mkdir(join(folder, 'restock.csv'));
    const { code, stderr } = await run(join(folder, name));
    expect(stderr.replaceAll(`${folder}/`, '')).toBe(message);
    expect(code).toBe(1);
  });

  test('prints the exit codes with --help, and prints the error and the usage for an unknown option', async () => {
    const help = await run('--help');
    expect(help).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/Exit code: 0 completed, 1 error, 2 completed with/),
    });
    const wrong = await run('examples/restock.ndjson', '--speed');
    expect(wrong.stderr).toMatch(/Unknown option '--speed'/);
    expect(wrong.stderr).toContain(help.stdout);
    expect(wrong.code).toBe(1);
  });
});
