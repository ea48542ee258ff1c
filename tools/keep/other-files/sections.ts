import { slug } from 'github-slugger';
import { containsWord } from '../typescript/named-parts.js';

/**
 * Removes the sections of a page whose heading has one of the words, the rows of tables whose first cell is a name with
 * one of the words, and the code blocks that use a word. Returns the anchors of the removed headings too.
 */
export function removeSections(text: string, words: readonly string[]): { text: string; anchors: string[] } {
  const anchors: string[] = [];
  const kept: string[] = [];
  let removedLevel = Infinity;
  for (const part of splitBlocks(text)) {
    const [, hashes = '', title = ''] = /^(#+) (.*)$/.exec(part) ?? [];
    if (hashes && hashes.length <= removedLevel) removedLevel = containsWord(title, words) ? hashes.length : Infinity;
    if (removedLevel < Infinity) {
      if (hashes) anchors.push(slug(title));
      continue;
    }
    const isCode = part.startsWith('```');
    const [, name] = /^\| `([^`]+)`/.exec(part) ?? [];
    if ((isCode && containsWord(part, words)) || (name !== undefined && containsWord(name, words))) continue;
    kept.push(part);
  }
  return { text: kept.join('\n'), anchors };
}

/** Splits a page into lines. A code block is one part. */
function splitBlocks(text: string): string[] {
  const parts: string[] = [];
  let block: string[] | undefined;
  for (const line of text.split('\n')) {
    if (block) block.push(line);
    if (line.startsWith('```')) {
      if (block) parts.push(block.join('\n'));
      block = block ? undefined : [line];
    } else if (!block) parts.push(line);
  }
  return [...parts, ...(block ?? [])];
}
