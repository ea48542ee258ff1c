import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { removeAlerts, removePanels } from './monitoring.js';
import { removeLinks } from './links.js';
import { removeWorkers } from './manifests.js';
import { removeSections } from './sections.js';
import { removeScripts } from './scripts.js';

/** What an editor knows about the project after the deletion of files. */
export interface RemovalContext {
  /** The singular and the plural of each removed pattern. */
  words: readonly string[];
  /** Whether a file or folder of the project exists, by its path from the root. */
  exists: (path: string) => boolean;
  /** The headings that were removed from pages: `docs/README.md#batches`. */
  removedAnchors: ReadonlySet<string>;
}

/** Returns the text of a file without what concerns the removed patterns. */
export type TextEditor = (text: string, context: RemovalContext, file: string) => string;

const EDITORS: readonly [RegExp, TextEditor][] = [
  [/^deploy\/kubernetes\/.*\.yaml$/, removeWorkers],
  [/^deploy\/observability\/alerts\.yml$/, removeAlerts],
  [/^deploy\/observability\/grafana\/dashboards\/.*\.json$/, removePanels],
  [/^package\.json$/, removeScripts],
  [/\.md$/, removeLinks],
];

/** Removes patterns from manifests, alerts, dashboards, scripts and links. Changes only files that mention them. */
export async function editOtherFiles(
  root: string,
  files: readonly string[],
  { words, exists }: Pick<RemovalContext, 'words' | 'exists'>,
): Promise<string[]> {
  const context = { words, exists, removedAnchors: await removeNamedSections(root, files, words) };
  const changed: string[] = [];
  for (const file of files) {
    const edit = EDITORS.find(([pattern]) => pattern.test(file))?.[1];
    if (!edit) continue;
    const path = join(root, file);
    const text = await readFile(path, 'utf8');
    const edited = edit(text, context, file);
    if (edited === text) continue;
    await writeFile(path, edited);
    changed.push(file);
  }
  return changed;
}

/** Removes sections of pages. Returns their anchors. */
async function removeNamedSections(
  root: string,
  files: readonly string[],
  words: readonly string[],
): Promise<Set<string>> {
  const removed = new Set<string>();
  for (const file of files.filter((name) => name.endsWith('.md') && name !== 'CHANGELOG.md')) {
    const path = join(root, file);
    const page = await readFile(path, 'utf8');
    const { text, anchors } = removeSections(page, words);
    if (text !== page) await writeFile(path, text);
    for (const anchor of anchors) removed.add(`${file}#${anchor}`);
  }
  return removed;
}
