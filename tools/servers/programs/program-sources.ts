import { existsSync } from 'node:fs';
import { findOnPath } from '../../processes/commands.js';
import { SettingsError } from '../../settings/settings.js';

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

/** A program that a search found. */
export interface LocatedProgram extends FoundProgram {
  /** The name of the source that provided the program. */
  readonly source: string;
}

/** Checks that a program works. Throws an error with the reason when it does not work. */
export type VerifyProgram = (path: string) => Promise<FoundProgram>;

/** The environment variable that contains the path of a program. */
export interface ProgramVariable {
  name: string;
  /** The value of the variable. Undefined if the variable is not set. */
  path: string | undefined;
  /** A valid value, for error messages. */
  example: string;
  /** A command or an assignment that sets the variable, for error messages. */
  fix: string;
  verify: VerifyProgram;
}

interface ProgramSearch {
  /** The name of the program in error messages. */
  program: string;
  /** If this variable is set, no source is tried. */
  variable: ProgramVariable;
  sources: readonly ProgramSource[];
}

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
 * Returns the program at the path in the variable. If the variable is not set, tries the sources in order and returns
 * the first result.
 *
 * @throws SettingsError when the variable is set but its program does not work, and ProgramNotFoundError when no source
 * works.
 */
export async function findProgram({ program, variable, sources }: ProgramSearch): Promise<LocatedProgram> {
  if (variable.path !== undefined) {
    try {
      return { ...(await variable.verify(variable.path)), source: variable.name };
    } catch (error) {
      const { name, example } = variable;
      throw new SettingsError([{ name, problem: (error as Error).message, example }]);
    }
  }
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

/**
 * Adds the environment variable to the list of sources in the error message. Always fails, because `findProgram` reads
 * the variable before it tries the sources.
 */
export function variableSource({ name, fix }: ProgramVariable): ProgramSource {
  return {
    name: `the environment variable ${name}`,
    fix,
    find: async () => {
      throw new Error('it is not set');
    },
  };
}

interface PathSourceOptions {
  name: string;
  fix: string;
  /** The command that is searched on PATH. */
  command: string;
  /** Receives the full path of the command. */
  verify: VerifyProgram;
}

export function pathSource({ name, fix, command, verify }: PathSourceOptions): ProgramSource {
  return {
    name,
    fix,
    find: async () => {
      const path = findOnPath(command);
      if (path === undefined) throw new Error('not found');
      return verify(path);
    },
  };
}

interface CacheSourceOptions {
  cacheDir: string;
  fix: string;
  /** The paths at which other sources put the program. The first path that exists is used. */
  paths: readonly string[];
  verify: VerifyProgram;
}

export function cacheSource({ cacheDir, fix, paths, verify }: CacheSourceOptions): ProgramSource {
  return {
    name: `the cache ${cacheDir}`,
    fix,
    find: async () => {
      const path = paths.find(existsSync);
      if (path === undefined) throw new Error('not in the cache yet');
      return verify(path);
    },
  };
}
