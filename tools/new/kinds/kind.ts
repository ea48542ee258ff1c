import type { Edit } from '../edits.js';

/** Something that `npm run new` can add. Texts contain the name of the templates, which the generator replaces. */
export interface Kind {
  /** The line of the usage. */
  summary: string;
  /** The guide that explains the part and its registrations. */
  guide: string;
  /** A name in the messages about names. Default: a singular noun, of which the generator forms the plural. */
  example?: string;
  /** The folders of the templates. */
  templates: string[];
  /** The registrations in files that exist. */
  edits: () => Edit[];
  /** Files and folders that must not exist yet, in addition to the files of the templates. */
  reserves?: string[];
  /** Returns what in the project has this name already, or undefined. */
  findConflict?: (root: string, name: string) => Promise<string | undefined>;
  /** Whether the API changes, so that the generator runs `npm run openapi`. */
  changesApi: boolean;
  /** The commands that check the new part. */
  next: string[];
}
