/**
 * Converts the output that a page shows to a pattern for the real output. `…` stands for any text. White space does not
 * count, so that a page can break long lines.
 */
export function outputPattern(shown: string): RegExp {
  const literals = withoutWhiteSpace(shown).split('…');
  return new RegExp(`^${literals.map(escapeForPattern).join('[^]*?')}$`);
}

/** Whether the real output of a command is the output that a page shows. */
export function matchesOutput(shown: string, output: string): boolean {
  return outputPattern(shown).test(withoutWhiteSpace(output));
}

function withoutWhiteSpace(text: string): string {
  return text.replaceAll(/\s/g, '');
}

/** Returns the source of a pattern that matches exactly this text. */
export function escapeForPattern(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\/]/g, '\\$&');
}
