/** One place where a program is found, or one way to fetch it. */
export interface ProgramSource {
  /** The source as an item of a list: "the Temporal CLI on PATH". */
  name: string;
  /** What the user can do to make this source work. */
  fix: string;
  /** Returns the program, or throws the reason why this source does not work. */
  find(): Promise<FoundProgram>;
}

export interface FoundProgram {
  readonly path: string;
  readonly version: string;
}

/**
 * A source that always fails. It only lists the variable among the sources, because callers check the variable before
 * they try any source.
 */
export const variableSource = (name: string, fix: string): ProgramSource => ({
  name: `the environment variable ${name}`,
  fix,
  find: async () => {
    throw new Error('it is not set');
  },
});

/** Compares major and minor version only. */
export function isOlder(version: string, [oldestMajor, oldestMinor]: readonly [number, number]): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major < oldestMajor || (major === oldestMajor && minor < oldestMinor);
}

/** No source worked. The message lists every source, why it failed, and what the user can do. */
export class ProgramNotFoundError extends Error {
  override readonly name = 'ProgramNotFoundError';
}

/**
 * Tries the sources in order and returns the first result.
 *
 * @throws ProgramNotFoundError when no source works.
 */
export async function findProgram(
  program: string,
  sources: readonly ProgramSource[],
): Promise<FoundProgram & { source: string }> {
  const failures: string[] = [];
  for (const source of sources) {
    const { name, fix } = source;
    try {
      return { ...(await source.find()), source: name };
    } catch (error) {
      const reason = (error instanceof Error ? error.message : String(error)).trim().replaceAll('\n', '\n     ');
      failures.push(`${failures.length + 1}. ${name}\n     failed: ${reason}\n     fix:    ${fix}`);
    }
  }
  throw new ProgramNotFoundError(
    `The ${program} was not found. One of these sources is enough:\n${failures.join('\n')}`,
  );
}
