/** One way to find or fetch a program. */
export interface ProgramSource {
  /** How the way reads in a list: "the Temporal CLI on PATH". */
  name: string;
  /** What the user can do to make this way work. */
  fix: string;
  /** Returns the program, or throws the reason why this way does not work. */
  find(): Promise<FoundProgram>;
}

export interface FoundProgram {
  readonly path: string;
  readonly version: string;
}

/**
 * A way that always fails. It only lists the variable among the ways, because callers handle a set variable before they
 * try any way.
 */
export const variableSource = (name: string, cure: string): ProgramSource => ({
  name: `the environment variable ${name}`,
  fix: cure,
  find: async () => {
    throw new Error('it is not set');
  },
});

/** Compares major and minor version only. */
export function isOlder(version: string, [oldestMajor, oldestMinor]: readonly [number, number]): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major < oldestMajor || (major === oldestMajor && minor < oldestMinor);
}

/** No way worked. The message lists every way, why it failed, and what the user can do. */
export class ProgramNotFoundError extends Error {
  override readonly name = 'ProgramNotFoundError';
}

/**
 * Tries the ways in order and returns the first result.
 *
 * @throws ProgramNotFoundError when no way works.
 */
export async function findProgram(
  wanted: string,
  sources: readonly ProgramSource[],
): Promise<FoundProgram & { source: string }> {
  const failures: string[] = [];
  for (const source of sources) {
    const { name, fix } = source;
    try {
      return { ...(await source.find()), source: name };
    } catch (error) {
      const reason = (error instanceof Error ? error.message : String(error)).trim().replaceAll('\n', '\n     ');
      failures.push(`${failures.length + 1}. ${name}\n     failed: ${reason}\n     cure:   ${fix}`);
    }
  }
  throw new ProgramNotFoundError(
    `Found no ${wanted}. These ways were tried; any one of them is enough:\n${failures.join('\n')}`,
  );
}
