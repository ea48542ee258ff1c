/** A problem with an environment variable. */
export interface ConfigProblem {
  /** The name of the variable, sometimes with a remark: `TEMPORAL_TLS (of the profile)`. */
  name: string;
  problem: string;
  /** The invalid value. Missing for a secret. */
  got?: string | undefined;
  /** A valid value, or a full assignment (`NAME=value`) when another variable must change. */
  example: string;
}

/**
 * Thrown for an invalid configuration. The message has one line per problem: the variable, the problem and an example.
 */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly problems: readonly ConfigProblem[];

  /** @param subject The process that cannot start: `The worker`. */
  constructor(subject: string, problems: readonly ConfigProblem[]) {
    super(`${subject} cannot start:\n${problems.map((problem) => `  ${formatConfigProblem(problem)}`).join('\n')}`);
    this.problems = problems;
  }
}

/** The length at which a message truncates an invalid value. */
const MAX_SHOWN_LENGTH = 80;

/** Formats a problem, for example `PORT: must be an integer from 1 to 65535, got "abc" (example: PORT=3000)`. */
export function formatConfigProblem({ name, problem, got, example }: ConfigProblem): string {
  const value = got === undefined ? '' : `, got ${JSON.stringify(truncate(removeCredentials(got)))}`;
  const assignment = /^[A-Z][A-Z0-9_]*=/.test(example) ? example : `${name.split(' ')[0]}=${example}`;
  return `${name}: ${problem}${value} (example: ${assignment})`;
}

const removeCredentials = (text: string) => text.replace(/\/\/[^/]*@/, '//…@');

const truncate = (text: string) => (text.length > MAX_SHOWN_LENGTH ? `${text.slice(0, MAX_SHOWN_LENGTH)}…` : text);
