import type { TextEditor } from './index.js';

/** Removes the scripts of package.json whose program was deleted. */
export const removeScripts: TextEditor = (text, { exists }) => {
  const manifest = JSON.parse(text) as { scripts: Record<string, string> };
  const scripts = Object.fromEntries(
    Object.entries(manifest.scripts).filter(([, command]) => {
      const [program] = /\btools\/\S+\.ts\b/.exec(command) ?? [];
      return program === undefined || exists(program);
    }),
  );
  if (Object.keys(scripts).length === Object.keys(manifest.scripts).length) return text;
  return `${JSON.stringify({ ...manifest, scripts }, null, 2)}\n`;
};
