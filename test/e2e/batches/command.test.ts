import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { z } from 'zod';
import { startTemporaryStack } from '../../../tools/stack/temporary-stack.js';
import type { Stack } from '../../../tools/stack/stack.js';
import { pageOf } from '../../../src/schemas/shared/page.js';
import { product, type Product } from '../../../src/schemas/product.js';
import { projectRoot, startProcess } from '../../support/processes.js';
import { describeOnDevServer } from '../../support/temporal/dev-server.js';

const arrival = z.object({ sku: z.string(), quantity: z.number() });

describeOnDevServer('npm run batch against a stack', () => {
  let stack: Stack;
  let folder: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'batch-command-'));
    stack = await startTemporaryStack({ applicationEnv: { WORKFLOW_BUNDLE: inject('workflowBundle') } });
  }, 180_000);
  afterAll(async () => {
    await stack?.stop();
    await rm(folder, { recursive: true });
  });

  async function run(...args: string[]) {
    const lines = { stdout: [] as string[], stderr: [] as string[] };
    const command = await startProcess({
      name: 'batch',
      command: process.execPath,
      args: ['tools/run.mjs', 'tools/batch/main.ts', ...args],
      cwd: projectRoot,
      env: { DATA_DIR: stack.dataDir },
      onLine: (line, stream) => lines[stream].push(line),
    });
    const { code } = await command.exited;
    return { code, ...lines };
  }

  async function file(name: string, ...lines: string[]): Promise<string> {
    const path = join(folder, name);
    await writeFile(path, `${lines.join('\n')}\n`);
    return path;
  }

  async function products(): Promise<Map<string, Product>> {
    const response = await fetch(`${stack.addresses.apiUrl}/v1/products?limit=200`);
    const { items } = pageOf(product).parse(await response.json());
    return new Map(items.map((item) => [item.sku, item]));
  }

  const stock = async () =>
    Object.fromEntries([...(await products()).values()].map((item) => [item.sku, item.available]));

  test('the batch command adds the stock of the example only once in two runs, and lists the failed lines', async () => {
    const url = `${stack.addresses.apiUrl}/v1/batches/arrival`;
    const expected = await stock();
    const example = await readFile(join(projectRoot, 'examples', 'restock.ndjson'), 'utf8');
    for (const line of example.trim().split('\n')) {
      const { sku, quantity } = arrival.parse(JSON.parse(line));
      if (sku in expected) expected[sku]! += quantity;
    }

    for (const _time of ['first', 'second']) {
      const { code, stdout, stderr } = await run(
        'examples/restock.ndjson',
        '--id',
        'arrival',
        '--items-per-chunk',
        '5',
      );
      expect(stderr).toEqual([]);
      expect(stdout).toContain(`arrival: 12 items, ${url}`);
      expect(stdout).toContainEqual(expect.stringMatching(/^restock: \d+ of 12 \(\d+ %\), \d failed/));
      expect(stdout.slice(-4)).toEqual([
        'arrival completed with failures: 10 of 12 succeeded, 2 failed',
        '  line 5: UnknownSku, not in the catalogue: KETTLE-ELECTRIC',
        '  line 10: UnknownSku, not in the catalogue: GRINDER-GOLD',
        `To retry the failed items: curl -s -X POST ${url}/retry`,
      ]);
      expect(code).toBe(2);
      expect(await stock()).toEqual(expected);
    }
  });

  test('the batch command updates the prices of the example except the price in the wrong currency', async () => {
    const { code, stdout } = await run('examples/price-update.csv');

    expect(stdout.at(-3)).toMatch(/^price-update-[0-9a-f]{8} completed with failures: 5 of 6 succeeded, 1 failed$/);
    expect(stdout.at(-2)).toBe('  line 4: CurrencyMismatch, GRINDER-HAND is sold in EUR, not in USD');
    expect(code).toBe(2);
    const found = await products();
    expect(found.get('MUG-ENAMEL')?.price).toEqual({ value: 1290, currency: 'EUR' });
    expect(found.get('GRINDER-HAND')?.price).toEqual({ value: 8900, currency: 'EUR' });
  });

  test('the batch command exits with 0 when every item succeeds', async () => {
    const before = await stock();
    const path = await file('goods.jsonl', ...Array<string>(25).fill('{"sku":"MUG-ENAMEL","quantity":2}'));

    const { code, stdout } = await run(path, '--operation', 'restock', '--items-per-chunk', '1', '--id', 'mugs');

    expect(stdout.at(-1)).toBe('mugs completed: 25 of 25 succeeded, 0 failed');
    expect(code).toBe(0);
    expect(await stock()).toEqual({ ...before, 'MUG-ENAMEL': before['MUG-ENAMEL']! + 50 });
  });

  test('the batch command uploads a compressed CSV file with semicolons as delimiters', async () => {
    const before = await stock();
    const path = join(folder, 'restock-export.csv.gz');
    await writeFile(path, gzipSync('sku;quantity\nMUG-ENAMEL;3\nMUG-ENAMEL;4\n'));

    const { code, stdout, stderr } = await run(path, '--delimiter', 'semicolon', '--id', 'export');

    expect({ code, stderr }).toEqual({ code: 0, stderr: [] });
    expect(stdout.at(-1)).toBe('export completed: 2 of 2 succeeded, 0 failed');
    expect(await stock()).toEqual({ ...before, 'MUG-ENAMEL': before['MUG-ENAMEL']! + 7 });
  });

  test.each([
    [['restock.ndjson', '--delimiter', 'tab'], '--delimiter tab: is allowed only for .csv files'],
    [['price-update.csv', '--delimiter', ';'], '--delimiter ;: must be one of comma, semicolon, tab'],
  ])('the batch command rejects the arguments %j and uploads nothing', async (args, message) => {
    const { code, stderr } = await run(...args);

    expect({ code, stderr: stderr[0] }).toEqual({ code: 1, stderr: message });
  });

  test('for a file with malformed lines, the batch command lists these lines, exits with 1 and changes nothing', async () => {
    const before = await stock();
    const good = '{"sku":"MUG-ENAMEL","quantity":1}';
    const path = await file('restock.ndjson', good, '{"sku":"MUG-ENAMEL","quantity":0}', good, '{"sku":');

    const { code, stdout, stderr } = await run(path, '--id', 'malformed');

    expect(stderr).toEqual([
      'The API returned 422, Some items are not valid: 2 lines are invalid; nothing was stored',
      expect.stringMatching(/^ {2}line 2 \/quantity: /),
      expect.stringMatching(/^ {2}line 4: is not JSON/),
    ]);
    expect(stdout.at(-1)).toMatch(/failed/);
    expect(code).toBe(1);
    expect(await stock()).toEqual(before);
    expect((await fetch(`${stack.addresses.apiUrl}/v1/batches/malformed`)).status).toBe(404);
  });

  test('the batch command exits with 1 if the batch id was used for other content', async () => {
    const good = '{"sku":"MUG-ENAMEL","quantity":1}';
    await run(await file('restock-1.ndjson', good), '--id', 'taken');
    const { code, stderr } = await run(await file('restock-2.ndjson', good, good), '--id', 'taken');

    expect(stderr).toEqual([expect.stringMatching(/^The API returned 409, .*taken.*different content/)]);
    expect(code).toBe(1);
  });
});
