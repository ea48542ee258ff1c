import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DockerfileParser, type Copy } from 'dockerfile-ast';
import { projectRoot } from '../processes.js';

/** A build stage: a `FROM` instruction and all instructions up to the next one. */
export interface BuildStage {
  name: string;
  /** The base image or stage, exactly as in the Dockerfile. */
  from: string;
  copies: { from: string | undefined; sources: string[] }[];
  runs: string[];
  user: string | undefined;
  command: string[] | undefined;
  healthCheck: string | undefined;
  env: Record<string, string>;
}

export interface Dockerfile {
  /** The `ARG` instructions before the first stage, with their default values. */
  args: Record<string, string>;
  stages: BuildStage[];
}

/** Parses the Dockerfile of the checkout. Keeps only the instructions that tests check. */
export function readDockerfile(): Dockerfile {
  const args: Dockerfile['args'] = {};
  const stages: BuildStage[] = [];
  for (const instruction of DockerfileParser.parse(
    readFileSync(join(projectRoot, 'Dockerfile'), 'utf8'),
  ).getInstructions()) {
    const text = instruction.getArgumentsContent() ?? '';
    const words = text.split(/\s+/);
    const stage = stages.at(-1);
    const keyword = instruction.getKeyword();
    if (keyword === 'FROM') {
      const [from = '', , name = ''] = words;
      const none = { user: undefined, command: undefined, healthCheck: undefined };
      stages.push({ name, from, copies: [], runs: [], env: {}, ...none });
    } else if (keyword === 'ARG' && !stage) {
      const [name = '', value = ''] = text.split('=');
      args[name] = value;
    } else if (keyword === 'COPY') {
      const from = (instruction as Copy).getFromFlag()?.getValue() ?? undefined;
      stage?.copies.push({ from, sources: words.slice(0, -1) });
    } else if (keyword === 'RUN') stage?.runs.push(text);
    else if (keyword === 'USER' && stage) stage.user = text;
    else if (keyword === 'HEALTHCHECK' && stage) stage.healthCheck = text;
    else if (keyword === 'ENV' && stage)
      Object.assign(stage.env, Object.fromEntries(words.map((word) => word.split('='))));
    else if (keyword === 'CMD' && stage) stage.command = JSON.parse(text) as string[];
  }
  return { args, stages };
}

/** Returns the stage with this name. @throws when the Dockerfile has no such stage. */
export function findBuildStage({ stages }: Dockerfile, name: string): BuildStage {
  const stage = stages.find((stage) => stage.name === name);
  if (!stage) throw new Error(`the Dockerfile has no stage ${name}`);
  return stage;
}
