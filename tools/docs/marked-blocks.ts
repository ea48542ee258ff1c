/** A fenced code block of a Markdown page. */
export interface CodeBlock {
  language: string;
  /** The text after the language, for example `run` in "```sh run". Empty for a block without a marker. */
  marker: string;
  code: string;
  /** The last line of text before the block. Empty if another block is closer. */
  introduction: string;
  /** The line of the opening fence, from 1. */
  line: number;
  /** The lines of the code, as indexes for `slice`. */
  start: number;
  end: number;
  /** The white space before the fence of a block in a list. `code` does not contain it. */
  indentation: string;
}

const FENCE = /^(?<indentation> *)(?<fence>`{3,})(?<language>\w*) ?(?<marker>.*)/;

/** Finds the code blocks of a Markdown page. Ignores blocks inside other blocks, because they are examples. */
export function findCodeBlocks(page: string): CodeBlock[] {
  const lines = page.split('\n');
  const blocks: CodeBlock[] = [];
  let introduction = '';
  for (let index = 0; index < lines.length; index += 1) {
    const { indentation = '', fence, language = '', marker = '' } = FENCE.exec(lines[index]!)?.groups ?? {};
    if (fence === undefined) {
      introduction = lines[index]!.trim() || introduction;
      continue;
    }
    const start = index + 1;
    const end = lines.indexOf(indentation + fence, start);
    if (end === -1) throw new Error(`line ${start}: the code block has no closing fence`);
    const code = lines
      .slice(start, end)
      .map((line) => line.slice(indentation.length))
      .join('\n');
    blocks.push({ language, marker, code, introduction, line: start, start, end, indentation });
    introduction = '';
    index = end;
  }
  return blocks;
}

/** Finds the code blocks with a marker. */
export function findMarkedBlocks(page: string): CodeBlock[] {
  return findCodeBlocks(page).filter(({ marker }) => marker !== '');
}
