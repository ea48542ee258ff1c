import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { format, resolveConfig } from 'prettier';
import type { Edit } from './edits.js';
import type { Kind } from './kinds/kind.js';
import { createRenderer } from './names.js';

const TEMPLATES_FOLDER = fileURLToPath(new URL('templates', import.meta.url));

/** The files of a new part. Nothing is written before all files and edits are known to fit. */
export interface Plan {
  /** The new files, by path. */
  created: Map<string, string>;
  /** The changed files, by path, with their new text. */
  changed: Map<string, string>;
}

/** Plans the files of a new part. @throws when the name is taken, or when a registration has no place. */
export async function planPart(root: string, kind: Kind, name: string): Promise<Plan> {
  const render = createRenderer(name);
  const created = await renderTemplates(root, kind.templates, name);
  for (const path of [...created.keys(), ...(kind.reserves ?? []).map(render)]) {
    if (existsSync(join(root, path)))
      throw new Error(`${path} exists. The name ${name} is taken: choose another name.`);
  }
  const conflict = await kind.findConflict?.(root, name);
  if (conflict !== undefined) throw new Error(`${conflict}. The name ${name} is taken: choose another name.`);
  const changed = await applyEdits(root, kind, render);
  return { created, changed };
}

export async function writePlan(root: string, { created, changed }: Plan): Promise<void> {
  for (const [path, text] of [...created, ...changed]) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), text, { flag: created.has(path) ? 'wx' : 'w' });
  }
}

/** Returns the files of a new part, by path, in the format of the project in `root`. */
export async function renderTemplates(
  root: string,
  templates: readonly string[],
  name: string,
): Promise<Map<string, string>> {
  const render = createRenderer(name);
  const rendered = new Map<string, string>();
  for (const folder of templates.map((template) => join(TEMPLATES_FOLDER, template))) {
    for (const file of await readdir(folder, { recursive: true, withFileTypes: true })) {
      if (!file.isFile()) continue;
      const source = join(file.parentPath, file.name);
      const path = render(relative(folder, source).split(sep).join('/'));
      const text = await readFile(source, 'utf8');
      rendered.set(path, isHistory(path) ? renderHistory(text, render) : await formatted(root, path, render(text)));
    }
  }
  return new Map([...rendered].sort(([one], [other]) => (one < other ? -1 : 1)));
}

const isHistory = (path: string) => path.startsWith('test/replay/histories/');

/** Replaces the name in a recorded history, also in its payloads. The new workflow replays the result. */
function renderHistory(text: string, render: (text: string) => string): string {
  const withPayloads = text.replaceAll(/"data": "([A-Za-z0-9+/=]+)"/g, (whole, data: string) => {
    const payload = Buffer.from(data, 'base64').toString();
    const renderedPayload = render(payload);
    if (renderedPayload === payload) return whole;
    return `"data": "${Buffer.from(renderedPayload).toString('base64')}"`;
  });
  return render(withPayloads);
}

async function applyEdits(root: string, kind: Kind, render: (text: string) => string): Promise<Map<string, string>> {
  const changed = new Map<string, string>();
  for (const edit of kind.edits()) {
    const file = render(edit.file);
    const current = changed.get(file) ?? (await readFile(join(root, file), 'utf8').catch(() => undefined));
    if (current === undefined) throw new Error(misfit(edit, 'the file does not exist', { kind, render }));
    try {
      changed.set(file, render(edit.apply(current)));
    } catch (error) {
      throw new Error(misfit(edit, (error as Error).message, { kind, render }), { cause: error });
    }
  }
  for (const [file, text] of changed) changed.set(file, await formatted(root, file, text));
  return changed;
}

function misfit(
  edit: Edit,
  problem: string,
  { kind, render }: { kind: Kind; render: (text: string) => string },
): string {
  return [
    `Cannot register the new part in ${render(edit.file)}: ${problem}.`,
    'Nothing was written. This entry has no place:',
    '',
    render(edit.adds),
    '',
    `Restore the place that ${kind.guide} describes, or change tools/new/kinds.`,
  ].join('\n');
}

async function formatted(root: string, path: string, text: string): Promise<string> {
  const config = await resolveConfig(join(root, path));
  return /\.(ts|md|ya?ml|json)$/.test(path) ? await format(text, { ...config, filepath: join(root, path) }) : text;
}
