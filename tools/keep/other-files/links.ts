import { dirname, join, normalize } from 'node:path';
import type { RemovalContext, TextEditor } from './index.js';

const LINK = /(!?)\[((?:[^\]\\]|\\.)*)\]\(([^)\s]+)\)/g;

/**
 * Removes links to deleted files. A row of a table or an item of a list goes as a whole if all of its links are
 * broken, and so does a picture. Elsewhere, only the link goes and its text stays.
 */
export const removeLinks: TextEditor = (text, context, file) => {
  const kept: string[] = [];
  let isInRemovedItem = false;
  for (const line of text.split('\n')) {
    // The lines of an item after its first one are indented.
    if (isInRemovedItem && /^\s+\S/.test(line) && !isItem(line)) continue;
    isInRemovedItem = false;
    const targets = [...line.matchAll(LINK)].map(([, , , target]) => target!);
    const broken = targets.filter((target) => pointsNowhere(target, file, context));
    const isBroken = broken.length > 0;
    if (isBroken && broken.length === targets.length && (isItem(line) || line.trimStart().startsWith('|'))) {
      isInRemovedItem = isItem(line);
      continue;
    }
    kept.push(isBroken ? withoutLinks(line, file, context) : line);
  }
  return kept.join('\n');
};

const isItem = (line: string): boolean => /^\s*(?:[-*]|\d+\.)\s/.test(line);

const withoutLinks = (line: string, file: string, context: RemovalContext): string =>
  line.replace(LINK, (link, image: string, label: string, target: string) =>
    pointsNowhere(target, file, context) ? (image ? '' : label) : link,
  );

function pointsNowhere(target: string, file: string, { exists, removedAnchors }: RemovalContext): boolean {
  if (/^[a-z]+:/.test(target)) return false;
  const [link = '', anchor] = target.split('#');
  const path = link === '' ? file : normalize(join(dirname(file), link.replace(/\?.*$/, '')));
  return removedAnchors.has(`${path}#${anchor}`) || (link !== '' && !path.startsWith('..') && !exists(path));
}
