/**
 * The names of this project in texts: the name of the project (package, images, folders), and the name of the shop
 * (metrics, database, roles, namespace, deployment, labels). The word "shop" of sentences and variables stays.
 */
interface RenameRule {
  pattern: RegExp;
  replacement: (name: string) => string;
}

const capitalized = (name: string) => name.charAt(0).toUpperCase() + name.slice(1);
const asIs = (name: string) => name;

/** Rules for every file. */
const RULES: readonly RenameRule[] = [
  { pattern: /workflow-orchestration-patterns/g, replacement: asIs },
  { pattern: /workflow orchestration patterns/gi, replacement: capitalized },
  // Metrics, roles of the database, variables of the Compose file.
  { pattern: /(?<![A-Za-z0-9])shop_/g, replacement: (name) => `${name}_` },
  { pattern: /\bSHOP_(?=[A-Z])/g, replacement: (name) => `${name.toUpperCase()}_` },
  // Services, worker deployments, and versions of deployments and images: shop-api, shop/worker-orders, shop:1.
  { pattern: /(?<![\w.-])shop(?=-(?:api|worker|console)\b|-\$\{service\}|\/worker-|:\d)/g, replacement: asIs },
  // Whole values: 'shop', and the prefix 'shop-' of names in the manifests.
  { pattern: /(?<=(['"`]))shop(?=-?\1)/g, replacement: asIs },
  // URLs: user, database and host.
  { pattern: /(?<=\b(?:postgres|smtps?):\/\/)shop(?=:)/g, replacement: asIs },
  { pattern: /(?<=\/\/[^\s'"`]*\/)shop(?=['"`?\s]|$)/gm, replacement: asIs },
  { pattern: /\bshop(?=\.(?:example\.com|svc)\b)/g, replacement: asIs },
  // Files of the dashboard.
  { pattern: /(?<=dashboards\/|\}\/)shop(?=\.(?:json|yml)\b)/g, replacement: asIs },
  // Labels and namespaces in YAML that other files contain: part-of: shop, names: [shop].
  { pattern: /(?<=\bpart-of: |\bnames: \[)shop(?![\w-])/g, replacement: asIs },
  // Arguments of kubectl, temporal and psql.
  {
    pattern:
      /(?<=(?:-n|-U postgres|--name|--deployment-name|--namespace|generic|namespace)[ =]|DATABASE_APP_ROLE=)shop(?![\w-])/g,
    replacement: asIs,
  },
];

/** In the files of deployments, every word "shop" is a name, unless an article precedes it. */
const DEPLOYMENT_FILES = /^(?:deploy\/|docker-compose[^/]*\.yml$|\.env\.example$)/;
const DEPLOYMENT_RULE: RenameRule = {
  pattern: /(?<!\b(?:the|whole) )(?<![\w.-])shop(?![\w-])/gi,
  replacement: asIs,
};

/**
 * Recorded histories replay only unchanged. The changelog and the licence tell where the code comes from. The command,
 * its tests and its guide name the old names.
 */
const UNCHANGED_FILES = new RegExp(
  [
    '^test/replay/histories/',
    '^CHANGELOG\\.md$',
    '^LICENSE$',
    '^tools/rename/',
    '^test/tools/rename/',
    '^test/e2e/project/rename\\.test\\.ts$',
    '^docs/guides/make-it-your-own\\.md$',
  ].join('|'),
);

/** Whether `npm run rename` changes a file. */
export const canRename = (file: string): boolean => !UNCHANGED_FILES.test(file);

/** Replaces the names in the text of a file. */
export function renameText(text: string, file: string, name: string): string {
  const rules = DEPLOYMENT_FILES.test(file) ? [...RULES, DEPLOYMENT_RULE] : RULES;
  return rules.reduce((renamed, { pattern, replacement }) => renamed.replace(pattern, replacement(name)), text);
}

/** Replaces the name in the path of a file of the deployment. */
export const renamePath = (file: string, name: string): string =>
  DEPLOYMENT_FILES.test(file) ? file.replace(/(?<=\/)shop(?=\.)/, name) : file;
