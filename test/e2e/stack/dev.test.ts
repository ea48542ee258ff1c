import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { copyProject, type ProjectCopy } from '../../support/docs/project-copy.js';
import { startNpmStart } from '../../support/npm-start.js';
import { waitUntil } from '../../support/processes.js';
import { describeOnDevServer } from '../../support/temporal/dev-server.js';

const DEADLINE_MS = 120_000;

describeOnDevServer('npm run dev', () => {
  let copy: ProjectCopy;
  let running: Awaited<ReturnType<typeof startNpmStart>>;
  let apiUrl: string;
  beforeAll(async () => {
    copy = await copyProject();
    running = await startNpmStart({ DATA_DIR: join(copy.folder, '.data') }, copy.folder, '--watch');
    apiUrl = `http://127.0.0.1:${running.ports.PORT}`;
    await output(/^Ready/m);
  }, 2 * DEADLINE_MS);
  afterAll(async () => {
    await running?.process.stop(60_000);
    await copy?.remove();
  }, DEADLINE_MS);

  /** Waits until the output after line `from` matches. */
  const output = (pattern: RegExp, from = 0): Promise<string> =>
    waitUntil(() => pattern.exec(running.lines.slice(from).join('\n'))?.[0], {
      description: `output ${pattern}`,
      timeoutMs: DEADLINE_MS,
    });

  /** Replaces a text in a file of the copy. @returns the number of lines that were printed before. */
  async function change(file: string, text: string, replacement: string): Promise<number> {
    const path = join(copy.folder, file);
    const source = await readFile(path, 'utf8');
    expect(source).toContain(text);
    const { length } = running.lines;
    await writeFile(
      path,
      source.replace(text, () => replacement),
    );
    return length;
  }

  async function request(method: string, path: string, body?: object): Promise<string> {
    const headers = { 'content-type': 'application/json' };
    const response = await fetch(apiUrl + path, { method, ...(body && { headers, body: JSON.stringify(body) }) });
    return await response.text();
  }

  test(
    'runs changed workflow code and changed API code after a restart of the affected processes',
    async () => {
      await request('POST', '/v1/carts/dev/items', { sku: 'MUG-ENAMEL', quantity: 1 });
      const removeOther = () => request('DELETE', '/v1/carts/dev/items/OTHER');
      expect(await removeOther()).toContain('OTHER is not in the cart');
      const workflow = 'src/workflows/cart/changes.ts';
      await output(/restarted worker/, await change(workflow, 'is not in the cart', 'is missing in the cart'));
      expect(await removeOther()).toContain('OTHER is missing in the cart');

      const title = "'Workflow orchestration patterns'";
      const from = await change('src/api/plugins/openapi/index.ts', title, "'Changed'");
      expect(await output(/restarted .*/, from)).toMatch(/^restarted api in/);
      expect(JSON.parse(await request('GET', '/openapi.json'))).toMatchObject({ info: { title: 'Changed' } });
    },
    2 * DEADLINE_MS,
  );

  test(
    'prints three lines for a syntax error, a forbidden import and a type error, and the old code continues',
    async () => {
      const file = 'src/workflows/cart/changes.ts';
      const valid = 'export function quantityOf(';
      let from = await change(file, valid, 'export function (');
      expect(await output(/^error: .*\n.*\n.*$/m, from)).toMatch(
        /^error: src\/workflows\/cart\/changes\.ts:\d+:\d+\n {2}\S.*\n {2}> export function \(/,
      );
      expect(await request('GET', '/livez')).toContain('ok');

      from = await change(file, 'export function (', `import 'node:fs';\n${valid}`);
      expect(await output(/^error: .*\n.*\n.*$/m, from)).toMatch(
        /changes\.ts:\d+:1\n {2}workflow code cannot import node:fs.*\n {2}> import 'node:fs';$/,
      );

      from = await change(file, `import 'node:fs';\n${valid}`, `export const count: number = 'one';\n${valid}`);
      expect(await output(/^type error: .*\n.*\n.*$/m, from)).toMatch(
        /changes\.ts:\d+:14\n {2}TS2322: .*\n {2}> export const count: number = 'one';$/,
      );
      await output(/restarted worker/, from);
    },
    3 * DEADLINE_MS,
  );

  test(
    'names an open order that does not replay with the changed code',
    async () => {
      const order = {
        orderId: 'waits-for-approval',
        customerId: 'ada',
        lines: [{ sku: 'MACHINE-LEVER', quantity: 1 }],
        payment: { token: 'tok_ok' },
      };
      await request('POST', '/v1/orders', order);
      await waitUntil(
        async () =>
          (await request('GET', '/v1/orders/waits-for-approval')).includes('awaiting_approval') ? true : undefined,
        { description: 'an order that waits for its approval', timeoutMs: DEADLINE_MS },
      );
      const approve = '  if (reserved.approval) await approve(state, reserved.approval, reserved.approvalEndpoint);';
      const charge = '  if (reserved.total.value > 0) await charge(state, reserved.total);';
      const from = await change('src/workflows/order/workflow.ts', `${approve}\n${charge}`, `${charge}\n${approve}`);
      const printed = await output(/^does not replay: .*\n.*\n.*$/m, from);
      expect(printed).toMatch(
        /^does not replay: order order:waits-for-approval, run \S+\n {2}at event \d+ \S+: the history/,
      );
      expect(printed).toContain('docs/concepts/versioning.md');
    },
    2 * DEADLINE_MS,
  );
});
