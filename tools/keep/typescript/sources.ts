import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';

/** The TypeScript files of a project, with changes in memory. */
export class Sources {
  files: readonly string[];
  /** The files that changed since the start. */
  readonly changed = new Set<string>();
  readonly #texts = new Map<string, string>();
  readonly #parsed = new Map<string, ts.SourceFile>();
  readonly #options: ts.CompilerOptions;
  readonly #host: ts.CompilerHost;
  #program: ts.Program | undefined;
  #isOutdated = true;

  constructor(project: string) {
    const { config } = ts.readConfigFile(join(project, 'tsconfig.json'), ts.sys.readFile) as { config: unknown };
    const { options, fileNames } = ts.parseJsonConfigFileContent(config, ts.sys, project);
    this.files = fileNames;
    this.#options = { ...options, noUnusedLocals: true, noUnusedParameters: true };
    const host = ts.createCompilerHost(this.#options, true);
    const modules = ts.createModuleResolutionCache(project, host.getCanonicalFileName, this.#options);
    this.#host = {
      ...host,
      getCurrentDirectory: () => project,
      getModuleResolutionCache: () => modules,
      getSourceFile: (file, languageVersion) => {
        const text = this.#texts.get(file);
        const parsed =
          this.#parsed.get(file) ??
          (text === undefined
            ? host.getSourceFile(file, languageVersion)
            : ts.createSourceFile(file, text, languageVersion, true));
        if (parsed) this.#parsed.set(file, parsed);
        return parsed;
      },
    };
  }

  /** The program with all changes. A new program reuses the files that did not change since the last one. */
  get program(): ts.Program {
    if (!this.#program || this.#isOutdated)
      this.#program = ts.createProgram(this.files, this.#options, this.#host, this.#program);
    this.#isOutdated = false;
    return this.#program;
  }

  text(file: string): string {
    return this.#texts.get(file) ?? readFileSync(file, 'utf8');
  }

  change(file: string, text: string): void {
    this.#texts.set(file, text);
    this.#parsed.delete(file);
    this.changed.add(file);
    this.#isOutdated = true;
  }

  /** Writes the changes to the disk. */
  write(): void {
    for (const [file, text] of this.#texts) writeFileSync(file, text);
  }

  /** Reads the files again, after another program changed or deleted some of them. Returns the changed files. */
  reload(): string[] {
    const deleted = this.files.filter((file) => !existsSync(file));
    this.files = this.files.filter((file) => existsSync(file));
    for (const file of deleted) this.#texts.delete(file);
    for (const file of deleted) this.#parsed.delete(file);
    this.#isOutdated = true;
    const changed = this.files.filter((file) => this.#parsed.get(file)?.text !== readFileSync(file, 'utf8'));
    for (const file of changed) this.change(file, readFileSync(file, 'utf8'));
    return changed;
  }

  /** Returns the files that import one of the files directly, or a file that does not exist. */
  importersOf(files: ReadonlySet<string>): string[] {
    const checker = this.program.getTypeChecker();
    return this.files.filter((file) =>
      this.program.getSourceFile(file)?.statements.some((statement) => {
        if (!ts.isImportDeclaration(statement) && !ts.isExportDeclaration(statement)) return false;
        if (!statement.moduleSpecifier) return false;
        const module = checker.getSymbolAtLocation(statement.moduleSpecifier);
        return module?.declarations?.some((declaration) => files.has(declaration.getSourceFile().fileName)) ?? true;
      }),
    );
  }
}
