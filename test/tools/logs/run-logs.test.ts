import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { runLogs, usage } from '../../../tools/logs/run-logs.js';

let dataDir: string;
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'logs-'));
  await mkdir(join(dataDir, 'logs'));
});
afterEach(() => rm(dataDir, { recursive: true }));

const write = (process: string, ...lines: (object | string)[]) =>
  writeFile(
    join(dataDir, 'logs', `${process}.log`),
    lines.map((line) => (typeof line === 'string' ? line : JSON.stringify(line))).join('\n'),
  );

async function run(...args: string[]) {
  const [printed, errors]: string[][] = [[], []];
  const context = {
    env: { DATA_DIR: dataDir },
    print: (text: string) => printed!.push(text),
    printError: (text: string) => errors!.push(text),
  };
  return { code: await runLogs(args, context), printed, errors };
}

const at = (second: number) => `2026-11-30T12:00:0${second}.000Z`;

test('prints the lines of a workflow from all processes in the sequence of their times', async () => {
  await write(
    'api',
    { level: 30, time: at(1), service: 'api', reqId: 'r1', req: { url: '/v1/orders' }, msg: 'incoming request' },
    { level: 30, time: at(3), service: 'api', reqId: 'r1', location: '/v1/orders/42', msg: 'action' },
    { level: 30, time: at(4), service: 'api', reqId: 'r2', location: '/v1/orders/421', msg: 'action' },
  );
  await write(
    'worker',
    'a line of another program about 42',
    { level: 40, time: at(2), service: 'worker', workflowId: 'order:42', msg: 'the call failed' },
    { level: 40, time: at(2), service: 'worker', workflowId: 'order:142', msg: 'the call failed' },
  );
  await write('fakes', { level: 40, time: Date.parse(at(5)), pid: 1, orderId: '42', msg: 'not accepted' });

  for (const id of ['order:42', '42'])
    expect(await run(id)).toEqual({
      code: 0,
      errors: [],
      printed: [
        '12:00:01.000 api      info  incoming request req={"url":"/v1/orders"}',
        '12:00:02.000 worker   warn  the call failed workflowId=order:42',
        '12:00:03.000 api      info  action location=/v1/orders/42',
        '12:00:05.000 fakes    warn  not accepted orderId=42',
      ],
    });
});

test('truncates long values, and reads an id with special characters literally', async () => {
  await write('worker', { level: 30, time: at(1), cartId: 'a.c', text: 'x'.repeat(300), msg: 'm' });
  expect((await run('cart:a.c')).printed).toEqual([expect.stringMatching(/text=x{200}…$/)]);
  expect((await run('cart:abc')).code).toBe(1);
});

test('says that no line contains the id', async () => {
  await write('worker', { level: 30, time: at(1), msg: 'started' });
  const { code, printed } = await run('order:42');
  expect(code).toBe(1);
  expect(printed).toEqual([`No line in ${join(dataDir, 'logs')} contains order:42`]);
});

test('explains a missing stack and invalid arguments', async () => {
  expect(await run()).toMatchObject({ code: 2, errors: ['Name one workflow: npm run logs -- order:42', `\n${usage}`] });
  await rm(join(dataDir, 'logs'), { recursive: true });
  expect((await run('order:42')).errors).toEqual([expect.stringContaining('start a stack with "npm start" first')]);
});
