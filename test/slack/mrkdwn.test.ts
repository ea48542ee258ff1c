import fc from 'fast-check';
import { expect, test } from 'vitest';
import { escapeLine, escapeMrkdwn } from '../../src/slack/mrkdwn.js';

test('escapes the characters with which Slack marks mentions and links', () => {
  expect(escapeMrkdwn('<!channel> & <https://evil.example|click>', 200)).toBe(
    '&lt;!channel&gt; &amp; &lt;https://evil.example|click&gt;',
  );
});

test('a text of any characters stays within the limit, without mentions and without broken escapes', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.integer({ min: 10, max: 60 }), (text, max) => {
      const escaped = escapeMrkdwn(text, max);
      expect(escaped.length).toBeLessThanOrEqual(max);
      expect(escaped.isWellFormed()).toBe(true);
      expect(escaped).not.toMatch(/[<>]|&(?!amp;|lt;|gt;)/);
    }),
  );
});

test('a truncated text ends with an ellipsis and not in the middle of an escape', () => {
  expect(escapeMrkdwn('&&&', 11)).toBe('&amp;&amp;…');
  expect(escapeMrkdwn('😀😀😀', 4)).toBe('😀…');
});

test('a title becomes one line', () => {
  expect(escapeLine(' Buy\n a\t<roaster>? ', 100)).toBe('Buy a &lt;roaster&gt;?');
});
