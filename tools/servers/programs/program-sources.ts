/** A place where a program may be installed, or a way to fetch the program. */
export interface ProgramSource {
  /** The name of the source in error messages, for example "a build with Go". */
  name: string;
  /** Tells the user how to make this source work. */
  fix: string;
  /** Returns the program. Throws an error with the reason when this source does not work. */
  find(): Promise<FoundProgram>;
}

export interface FoundProgram {
  readonly path: string;
  readonly version: string;
}

/**
 * Adds the environment variable to the list of sources in the error message. Always fails, because callers read the
 * variable before they try the sources.
 */
export const variableSource = (name: string, fix: string): ProgramSource => ({
  name: `the environment variable ${name}`,
  fix,
  find: async () => {
    throw new Error('it is not set');
  },
});

/** Compares only the major and the minor version. */
export function isOlder(version: string, [oldestMajor, oldestMinor]: readonly [number, number]): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major < oldestMajor || (major === oldestMajor && minor < oldestMinor);
}

/** Thrown when no source works. The message lists every source with the reason of the failure and a fix. */
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
