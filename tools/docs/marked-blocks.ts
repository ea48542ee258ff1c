/** A fenced code block of a Markdown page with a marker after its language, for example "```sh run". */
export interface MarkedBlock {
  marker: string;
  code: string;
  /** The line of the opening fence, from 1. */
  line: number;
  /** The lines of the code, as indexes for `slice`. */
  start: number;
  end: number;
}

const FENCE = /^(?<fence>`{3,})\w* ?(?<marker>.*)/;

/** Finds the marked code blocks of a Markdown page. Ignores blocks inside other blocks, because they are examples. */
export function findMarkedBlocks(page: string): MarkedBlock[] {
  const lines = page.split('\n');
  const blocks: MarkedBlock[] = [];
  for (let index = 0; index < lines.length; index += 1) {
    const { fence, marker } = FENCE.exec(lines[index]!)?.groups ?? {};
    if (fence === undefined) continue;
    const start = index + 1;
    const end = lines.indexOf(fence, start);
    if (end === -1) throw new Error(`line ${start}: the code block has no closing fence`);
    if (marker) blocks.push({ marker, code: lines.slice(start, end).join('\n'), line: start, start, end });
    index = end;
  }
  return blocks;
}
