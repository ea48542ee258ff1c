import type { z } from 'zod';
import { API_VARIABLES } from './api.js';
import type { ProcessName, VariableDeclaration } from './declaration.js';
import { OBSERVABILITY_VARIABLES } from './observability.js';
import { PARTNER_VARIABLES } from './partners.js';
import { STORAGE_VARIABLES } from './storage.js';
import { TEMPORAL_VARIABLES } from './temporal.js';
import { WORKER_VARIABLES } from './workers.js';

/** All environment variables that the application reads, except the variables of the Temporal connection profile. */
export const VARIABLES = {
  ...STORAGE_VARIABLES,
  ...API_VARIABLES,
  ...PARTNER_VARIABLES,
  ...WORKER_VARIABLES,
  ...TEMPORAL_VARIABLES,
  ...OBSERVABILITY_VARIABLES,
} as const satisfies Record<string, VariableDeclaration>;

export type VariableName = keyof typeof VARIABLES;

/** The parsed values of all variables. */
export type VariableValues = { readonly [Name in VariableName]: z.output<(typeof VARIABLES)[Name]['schema']> };

/** The names of the variables that a process reads. */
export type VariableNamesOf<Process extends ProcessName> = {
  [Name in VariableName]: Process extends (typeof VARIABLES)[Name]['readBy'][number] ? Name : never;
}[VariableName];

/** The names of the variables that a process reads. */
export function variablesReadBy(processName: ProcessName): VariableName[] {
  const entries = Object.entries(VARIABLES) as [VariableName, VariableDeclaration][];
  return entries.filter(([, { readBy }]) => readBy.includes(processName)).map(([name]) => name);
}
