import { expect, test } from 'vitest';
import { findPhrases } from '../../../tools/project/check-phrases.js';

test('findPhrases reports a banned phrase with its file, line and replacement', () => {
  expect(findPhrases('docs/page.md', 'A customer pays.\nThe price is too dear.')).toEqual([
    'docs/page.md:2: "dear": write "expensive"',
  ]);
});

test('findPhrases accepts words that only contain a banned word', () => {
  expect(findPhrases('src/file.ts', 'This function replayed the history.')).toEqual([]);
});
