import { format, resolveConfig } from 'prettier';

/** Renders a Markdown table. A cell may contain `|`. */
export function renderTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [head, head.map(() => '---'), ...rows.map((cells) => cells.map((cell) => cell.replaceAll('|', '\\|')))];
  return `${lines.map((cells) => `| ${cells.join(' | ')} |`).join('\n')}\n`;
}

/** Formats a Markdown page with the project's options for the file at `path`. */
export async function formatPage(path: string, page: string): Promise<string> {
  return await format(page, { ...(await resolveConfig(path)), parser: 'markdown' });
}
