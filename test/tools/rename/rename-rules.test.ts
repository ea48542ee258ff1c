import { describe, expect, test } from 'vitest';
import { canRename, renamePath, renameText } from '../../../tools/rename/rename-rules.js';

describe('renameText', () => {
  test.each([
    ['image: workflow-orchestration-patterns-fakes:1.0.0', 'image: acme-fakes:1.0.0'],
    ["title: 'Workflow orchestration patterns'", "title: 'Acme'"],
    ['sum(shop_orders_unreconciled)', 'sum(acme_orders_unreconciled)'],
    ['/^(shop_|http_)/', '/^(acme_|http_)/'],
    ['SHOP_DATABASE_PASSWORD', 'ACME_DATABASE_PASSWORD'],
    ['`shop-${service}`, shop-worker', '`acme-${service}`, acme-worker'],
    ["'shop/worker-orders', 'shop:1.1'", "'acme/worker-orders', 'acme:1.1'"],
    ["toEqual(['shop', '1'])", "toEqual(['acme', '1'])"],
    ["configMap('shop-')", "configMap('acme-')"],
    [
      'postgres://shop_owner:x@db/shop postgres://shop:x@db/shop',
      'postgres://acme_owner:x@db/acme postgres://acme:x@db/acme',
    ],
    ['https://shop.example.com', 'https://acme.example.com'],
    ['registry.example.com/shop:1', 'registry.example.com/acme:1'],
    ['kubectl -n shop create secret generic shop', 'kubectl -n acme create secret generic acme'],
    ['app.kubernetes.io/part-of: shop', 'app.kubernetes.io/part-of: acme'],
    ['namespaces: { names: [shop] }', 'namespaces: { names: [acme] }'],
    ['temporal worker deployment describe --name shop', 'temporal worker deployment describe --name acme'],
  ])('renames %s', (text, renamed) => {
    expect(renameText(text, 'docs/page.md', 'acme')).toBe(renamed);
  });

  test.each([
    'the shop accepts no requests',
    'await shop?.close(); const { sku } = await addProduct(shop.store);',
    "import { startShop } from '../support/shop/shop.js';",
    'let shop: Shop;',
    '[shop] = await Promise.all([startShop(server)]);',
    "import { ShopClient } from './shop-client.js';",
    // A header of recorded histories.
    "const STARTED_AT_HEADER = 'shop-started-at';",
  ])('keeps %s', (text) => {
    expect(renameText(text, 'test/page.ts', 'acme')).toBe(text);
  });

  test('renames each name in a file of the deployment, and keeps sentences', () => {
    const text =
      'name: shop # The shop, the whole shop\nTEMPORAL_NAMESPACE=shop\nfrontend shop\n{ name: shop, key: x }';
    expect(renameText(text, 'deploy/x.yaml', 'acme')).toBe(
      'name: acme # The shop, the whole shop\nTEMPORAL_NAMESPACE=acme\nfrontend acme\n{ name: acme, key: x }',
    );
  });
});

test('renames the files of the dashboard, and keeps histories, the changelog, and the guide and test of the command', () => {
  const dashboard = 'deploy/observability/grafana/dashboards/shop.json';
  expect(renamePath(dashboard, 'acme')).toBe('deploy/observability/grafana/dashboards/acme.json');
  expect(renamePath('test/support/shop/shop.ts', 'acme')).toBe('test/support/shop/shop.ts');
  const unchanged = [
    'test/replay/histories/0001/order-completed.json',
    'CHANGELOG.md',
    'test/e2e/project/rename.test.ts',
    'docs/guides/make-it-your-own.md',
  ];
  expect(unchanged.filter(canRename)).toEqual([]);
  expect(canRename('README.md')).toBe(true);
});
