import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { projectRoot } from '../processes.js';
import { generateComposeSecrets } from '../../../tools/compose-secrets/generate.js';

export const COMPOSE_FILES = ['docker-compose.yml', 'docker-compose.dev.yml'];

/** A service of a Compose file. Contains only the fields that tests check. */
export interface ComposeService {
  image: string;
  build?: { target: string; args: Record<string, string> };
  command?: string[];
  environment?: Record<string, string>;
  depends_on?: Record<string, { condition: string }>;
  healthcheck?: { test: string[] };
  ports?: string[];
  volumes?: string[];
  restart?: string;
  stop_grace_period?: string;
  pull_policy?: string;
  user?: string;
  init?: boolean;
  read_only?: boolean;
  cap_drop?: string[];
  cap_add?: string[];
  security_opt?: string[];
  privileged?: boolean;
  logging?: { options: Record<string, string> };
  deploy?: { replicas?: number; resources: { limits: Record<string, unknown> } };
}

export interface ComposeFile {
  services: Record<string, ComposeService>;
  volumes: Record<string, unknown>;
}

/**
 * Returns the default values of the variables `${NAME:-value}` in all Compose files.
 *
 * @throws if a variable has two default values.
 */
export function readComposeDefaults(): Record<string, string> {
  const defaults: Record<string, string> = {};
  for (const file of COMPOSE_FILES) {
    const text = readFileSync(join(projectRoot, file), 'utf8');
    for (const [, name = '', value = ''] of text.matchAll(/\$\{(\w+):-([^}]*)\}/g)) {
      if ((defaults[name] ??= value) !== value) throw new Error(`${file}: ${name} is ${value}, not ${defaults[name]}`);
    }
  }
  return defaults;
}

/** Reads a Compose file and applies its YAML merges. Does not replace variables. */
export function readComposeFile(file: string): ComposeFile {
  return parse(readFileSync(join(projectRoot, file), 'utf8'), { merge: true }) as ComposeFile;
}

/** Reads a Compose file and replaces its variables with their default values and with generated secrets. */
export function resolveComposeFile(
  file: string,
  secrets: Record<string, string> = generateComposeSecrets(),
): ComposeFile {
  const resolved = interpolate(readComposeFile(file), secrets) as ComposeFile;
  for (const service of Object.values(resolved.services)) {
    if (service.environment) service.environment = passThrough(service.environment, secrets);
  }
  return resolved;
}

/** Gives variables without a value the value of the variable with the same name, or removes them, like Compose. */
function passThrough(
  environment: Record<string, string | null>,
  variables: Record<string, string>,
): Record<string, string> {
  return Object.fromEntries(
    Object.entries(environment).flatMap(([name, value]) => {
      const found = value ?? variables[name];
      return found === undefined ? [] : [[name, found]];
    }),
  );
}

/**
 * Replaces `${NAME}`, `${NAME:-default}`, `${NAME:?message}` and `$$` like Compose. @throws for a variable without a
 * value.
 */
function interpolate(value: unknown, variables: Record<string, string>): unknown {
  if (typeof value === 'string')
    return value.replace(
      /\$\$|\$\{(\w+)(?::([-?])([^}]*))?\}/g,
      (text, name: string | undefined, operator: string | undefined, argument: string = 'not set') => {
        if (name === undefined) return text === '$$' ? '$' : text;
        const found = variables[name] ?? (operator === '-' ? argument : undefined);
        if (!found) throw new Error(`${name}: ${argument}`);
        return found;
      },
    );
  if (Array.isArray(value)) return value.map((entry) => interpolate(entry, variables));
  if (value !== null && typeof value === 'object')
    return Object.fromEntries(Object.entries(value).map(([name, entry]) => [name, interpolate(entry, variables)]));
  return value;
}
