import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { removeAlerts, removePanels } from './monitoring.js';
import { removeLinks } from './links.js';
import { removeWorkers } from './manifests.js';
import { removeScripts } from './scripts.js';

/** What an editor knows about the project after the deletion of files. */
export interface RemovalContext {
  /** The singular and the plural of each removed pattern. */
  words: readonly string[];
  /** Whether a file or folder of the project exists, by its path from the root. */
  exists: (path: string) => boolean;
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
  context: RemovalContext,
): Promise<string[]> {
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
