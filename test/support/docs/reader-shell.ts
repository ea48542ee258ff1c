import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { projectRoot } from '../processes.js';

const DEFAULT_TIMEOUT_MS = 120_000;
const END_OF_OUTPUT = /\nend of output, failed=(\d)\n$/;

export interface CommandResult {
  /** Standard output and standard error. */
  output: string;
  /** Whether every command of the block succeeded. */
  succeeded: boolean;
}

/** The terminal of a reader: one shell, so that the variables of a code block stay set for the next block. */
export interface ReaderShell {
  run(code: string): Promise<CommandResult>;
  close(): Promise<void>;
}

interface ReaderShellOptions {
  env: NodeJS.ProcessEnv;
  /** Defines functions that replace programs of the reader. */
  prelude?: string;
  /** The folder of the reader. Default: the folder of the project. */
  folder?: string;
  /** The time limit of a code block. */
  timeoutMs?: number;
}

/** Opens a shell. */
export async function openReaderShell({
  env,
  prelude = '',
  folder = projectRoot,
  timeoutMs = DEFAULT_TIMEOUT_MS,
}: ReaderShellOptions): Promise<ReaderShell> {
  const bash = spawn('bash', ['--norc', '--noprofile'], { cwd: folder, env, stdio: ['pipe', 'pipe', 'inherit'] });
  const exited = once(bash, 'exit');
  const chunks = bash.stdout.setEncoding('utf8')[Symbol.asyncIterator]() as AsyncIterator<string>;

  async function run(code: string): Promise<CommandResult> {
    bash.stdin.write(`failed=0; { ${code}\n} </dev/null 2>&1; printf '\\nend of output, failed=%d\\n' "$failed"\n`);
    const overdue = setTimeout(() => bash.kill('SIGKILL'), timeoutMs);
    try {
      let received = '';
      for (;;) {
        const { value, done } = await chunks.next();
        if (done) throw new Error(`the shell exited after this output:\n${received}`);
        received += value;
        const end = END_OF_OUTPUT.exec(received);
        if (end) return { output: received.slice(0, end.index), succeeded: end[1] === '0' };
      }
    } finally {
      clearTimeout(overdue);
    }
  }

  async function close(): Promise<void> {
    bash.stdin.end();
    await exited;
  }

  await run(`trap 'failed=1' ERR\n${prelude}`);
  return { run, close };
}
