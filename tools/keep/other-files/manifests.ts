import { isMap, isSeq, parseAllDocuments, type Document } from 'yaml';
import type { TextEditor } from './index.js';

/** Removes the documents about the workers of the patterns, and the entries of lists that name their folders. */
export const removeWorkers: TextEditor = (text, { words }) => {
  const isNamed = (name: unknown) => typeof name === 'string' && words.some((word) => name === `worker-${word}`);
  const documents = parseAllDocuments(text, { keepSourceTokens: true });
  if (!Array.isArray(documents)) return text;
  let hasChanged = false;
  const kept = documents.filter((document) => {
    const isOwned = isMap(document.contents) && isNamed(document.getIn(['metadata', 'name']));
    hasChanged ||= isOwned;
    return !isOwned;
  });
  for (const document of kept) hasChanged = removeFolders(document, words) || hasChanged;
  return hasChanged ? kept.map((document) => document.toString({ lineWidth: 0 })).join('') : text;
};

function removeFolders(document: Document, words: readonly string[]): boolean {
  const resources = document.getIn(['resources']);
  if (!isSeq(resources)) return false;
  const before = resources.items.length;
  resources.items = resources.items.filter((item) => {
    const folder = String(item).split('/').at(-1)!;
    return !words.includes(folder);
  });
  return resources.items.length < before;
}
