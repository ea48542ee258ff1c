import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { build } from 'esbuild';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runCommand } from '../../../tools/processes/commands.js';
import type { OrderResource } from '../../../src/schemas/order.js';
import { orderWorkflowId } from '../../../src/workflows/order/contract.js';
import { startApiProcess } from '../../support/api/api.js';
import { projectRoot, waitUntil } from '../../support/processes.js';
import { addProduct, makeOrder, startShop, type Shop } from '../../support/shop/shop.js';
import { describeOnDevServer, startDevServer, type DevServer } from '../../support/temporal/dev-server.js';

const TIMEOUT_MS = 120_000;

describeOnDevServer('the API and the contracts in other build set-ups', () => {
  let folder: string;
  let server: DevServer;
  let shop: Shop;
  let sku: string;
  beforeAll(async () => {
    // Inside the project, so that Node finds the packages.
    await mkdir(join(projectRoot, '.data'), { recursive: true });
    folder = await mkdtemp(join(projectRoot, '.data/build-'));
    server = await startDevServer();
    shop = await startShop(server);
    ({ sku } = await addProduct(shop.store, { available: 10 }));
  }, TIMEOUT_MS);
  afterAll(async () => {
    await shop?.close();
    await rm(folder, { recursive: true });
  });

  const node = (cwd: string, ...args: string[]) =>
    runCommand({ name: args[0]!, command: process.execPath, args, cwd, timeoutMs: TIMEOUT_MS });

  test(
    'an API that esbuild bundles and minifies starts workflows by their types, and serves the console',
    async () => {
      const outfile = join(folder, 'api/server.js');
      await build({
        entryPoints: [join(projectRoot, 'src/api/server.ts')],
        outfile,
        bundle: true,
        minify: true,
        platform: 'node',
        format: 'esm',
        packages: 'external',
        logLevel: 'silent',
      });
      await cp(join(projectRoot, 'src/api/console/assets'), join(dirname(outfile), 'assets'), { recursive: true });
      expect(await readFile(outfile, 'utf8')).not.toContain('function createConfiguredApp'); // minified
      const api = await startApiProcess(server, shop, {}, { command: process.execPath, args: [outfile] });
      try {
        const order = makeOrder({ lines: [{ sku, quantity: 1 }] });
        const headers = { 'content-type': 'application/json' };
        const placed = await fetch(`${api.url}/v1/orders`, { method: 'POST', headers, body: JSON.stringify(order) });
        expect(placed.status).toBe(202);
        const hasShipment = async () => {
          const resource = (await (await fetch(`${api.url}/v1/orders/${order.orderId}`)).json()) as OrderResource;
          return resource.stage === 'awaiting_pickup' || undefined;
        };
        await waitUntil(hasShipment, { description: 'an order that awaits its pickup', timeoutMs: 20_000 });

        const { type } = await shop.client.workflow.getHandle(orderWorkflowId(order.orderId)).describe();
        expect(type).toBe('order');
        expect((await fetch(`${api.url}/console/assets/console.css`)).status).toBe(200);
      } finally {
        await api.process.stop();
      }
    },
    TIMEOUT_MS,
  );

  test(
    'another package of a monorepo starts and queries an order with only the contracts',
    async () => {
      const contracts = join(folder, 'contracts');
      const client = join(folder, 'client');
      await mkdir(join(client, 'node_modules/@acme'), { recursive: true });
      const compilerOptions = {
        target: 'es2022',
        lib: ['es2024'],
        module: 'nodenext',
        strict: true,
        skipLibCheck: true,
        types: ['node'],
      };
      const writeJson = (path: string, value: object) => writeFile(path, JSON.stringify(value));
      await mkdir(contracts);
      await writeJson(join(contracts, 'package.json'), {
        name: '@acme/contracts',
        type: 'module',
        exports: { './*': './dist/workflows/*/contract.js' },
      });
      await writeJson(join(contracts, 'tsconfig.json'), {
        compilerOptions: { ...compilerOptions, declaration: true, rootDir: '../../../src', outDir: 'dist' },
        include: ['../../../src/workflows/*/contract.ts'],
      });
      const tsc = join(projectRoot, 'node_modules/typescript/bin/tsc');
      await node(contracts, tsc);
      expect(await readFile(join(contracts, 'dist/workflows/order/contract.js'), 'utf8')).not.toContain('zod');

      await symlink(contracts, join(client, 'node_modules/@acme/contracts'));
      await writeJson(join(client, 'package.json'), { name: 'client', type: 'module' });
      await writeJson(join(client, 'tsconfig.json'), { compilerOptions });
      await writeFile(
        join(client, 'place-order.ts'),
        `import { Client, Connection } from '@temporalio/client';
         import { ORDER_TASK_QUEUE, ORDER_WORKFLOW_TYPE, orderQuery, orderWorkflowId } from '@acme/contracts/order';
         const [address, namespace, input] = process.argv.slice(2) as [string, string, string];
         const order = JSON.parse(input) as { orderId: string };
         const connection = await Connection.connect({ address });
         const client = new Client({ connection, namespace });
         const handle = await client.workflow.start(ORDER_WORKFLOW_TYPE, {
           workflowId: orderWorkflowId(order.orderId),
           taskQueue: ORDER_TASK_QUEUE,
           args: [order],
         });
         const { orderId, status } = await handle.query(orderQuery);
         console.log(orderId, status satisfies string);
         await connection.close();`,
      );
      await node(client, tsc);
      const order = makeOrder({ lines: [{ sku, quantity: 1 }] });
      const printed = await node(client, 'place-order.js', server.address, server.namespace, JSON.stringify(order));
      expect(printed).toBe(`${order.orderId} processing`);
    },
    TIMEOUT_MS,
  );
});
