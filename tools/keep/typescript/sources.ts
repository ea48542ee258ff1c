import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';

/** The TypeScript files of a project, with changes in memory. */
export class Sources {
  readonly service: ts.LanguageService;
  readonly #texts = new Map<string, { text: string; version: number }>();
  readonly #changed: Set<string>;
  readonly #files: string[];

  /** `touched` are files that count as changed from the start. */
  constructor(project: string, touched: ReadonlySet<string> = new Set()) {
    this.#changed = new Set(touched);
    const { config } = ts.readConfigFile(join(project, 'tsconfig.json'), ts.sys.readFile) as { config: unknown };
    const { options, fileNames } = ts.parseJsonConfigFileContent(config, ts.sys, project);
    this.#files = fileNames.filter((file) => existsSync(file));
    this.service = ts.createLanguageService({
      getCompilationSettings: () => options,
      getScriptFileNames: () => this.#files,
      getScriptVersion: (file) => String(this.#texts.get(file)?.version ?? 0),
      getScriptSnapshot: (file) => (existsSync(file) ? ts.ScriptSnapshot.fromString(this.text(file)) : undefined),
      getCurrentDirectory: () => project,
      getDefaultLibFileName: ts.getDefaultLibFilePath,
      fileExists: ts.sys.fileExists,
      readFile: ts.sys.readFile,
      readDirectory: ts.sys.readDirectory,
      directoryExists: ts.sys.directoryExists,
      getDirectories: ts.sys.getDirectories,
    });
  }

  get files(): readonly string[] {
    return this.#files;
  }

  /** The files whose text differs from the disk. */
  get changed(): ReadonlySet<string> {
    return this.#changed;
  }

  /** Whether `npm run openapi` writes the file. */
  isGenerated(file: string): boolean {
    return file.endsWith('.d.ts');
  }

  text(file: string): string {
    return this.#texts.get(file)?.text ?? readFileSync(file, 'utf8');
  }

  parsed(file: string): ts.SourceFile {
    return this.service.getProgram()!.getSourceFile(file)!;
  }

  change(file: string, text: string): void {
    this.#texts.set(file, { text, version: (this.#texts.get(file)?.version ?? 0) + 1 });
    this.#changed.add(file);
  }

  /** Returns the files that import one of the files directly. */
  importersOf(files: ReadonlySet<string>): string[] {
    const program = this.service.getProgram()!;
    const checker = program.getTypeChecker();
    return this.#files.filter((file) =>
      program.getSourceFile(file)?.statements.some((statement) => {
        if (!ts.isImportDeclaration(statement) && !ts.isExportDeclaration(statement)) return false;
        const module = statement.moduleSpecifier && checker.getSymbolAtLocation(statement.moduleSpecifier);
        return module?.declarations?.some((declaration) => files.has(declaration.getSourceFile().fileName)) ?? false;
      }),
    );
  }
}
