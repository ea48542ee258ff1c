import { builtinModules } from 'node:module';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { projectRoot } from '../../settings/environment.js';
import { readImports, type Imports, type SourceProblem } from '../../source-build/import-graph.js';

/** The entry points of the processes that restart, and of the workflow bundle. */
const ENTRY_POINTS = {
  worker: 'src/worker.ts',
  api: 'src/api/server.ts',
  workflows: 'src/workflows/index.ts',
} as const;
export type Program = keyof typeof ENTRY_POINTS;

/** The files of each program, with paths like `src/worker.ts`, or the problems because of which it would not start. */
export type SourceGraph = { files: Record<Program, ReadonlySet<string>> } | { problems: SourceProblem[] };

export async function readSourceGraph(root = projectRoot): Promise<SourceGraph> {
  const [worker, api, workflows] = Object.values(ENTRY_POINTS).map((entryPoint) => readImports(root, [entryPoint]));
  const problems = [worker!, api!, workflows!].flatMap((inputs) => (Array.isArray(inputs) ? inputs : []));
  if (Array.isArray(worker) || Array.isArray(api) || Array.isArray(workflows))
    return { problems: [...new Map(problems.map((problem) => [problem.position, problem])).values()] };
  const forbidden = await findForbiddenImports(root, workflows!);
  if (forbidden.length > 0) return { problems: forbidden };
  const filesOf = (inputs: Imports) => new Set(Object.keys(inputs));
  return { files: { worker: filesOf(worker!), api: filesOf(api!), workflows: filesOf(workflows!) } };
}

/** Modules that the SDK's bundler rejects in workflow code. */
const isForbidden = (module: string): boolean =>
  /^@temporalio\/(activity|client|worker|testing|core-bridge)\b/.test(module) ||
  (builtinModules.includes(module.replace(/^node:/, '')) && !/^(node:)?(assert|url|util)$/.test(module));

async function findForbiddenImports(root: string, inputs: Imports): Promise<SourceProblem[]> {
  const problems: SourceProblem[] = [];
  for (const [file, { imports }] of Object.entries(inputs)) {
    for (const { path: module } of imports.filter(({ external, path }) => external && isForbidden(path))) {
      const lines = (await readFile(join(root, file), 'utf8')).split('\n');
      const index = lines.findIndex((line) => line.includes(`'${module}'`));
      problems.push({
        position: `${file}:${index + 1}:1`,
        text: `workflow code cannot import ${module}, because it is not deterministic: use an activity`,
        line: lines[index]?.trim() ?? '',
      });
    }
  }
  return problems;
}
