import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { copyProject, type ProjectCopy } from '../../support/docs/project-copy.js';
import { startProcess, waitUntil, type ManagedProcess } from '../../support/processes.js';
import { commandEnvironment } from '../../support/docs/command-environment.js';
import { describeWithTimeSkipping } from '../../support/temporal/time-skipping-server.js';

const TIMEOUT_MS = 120_000;
const WORKFLOW = 'src/workflows/cart/workflow.ts';
const RUN_END = /^ *(PASS|FAIL) +(Waiting for file changes|Tests failed\. Watching)/;

describeWithTimeSkipping('npm run test:watch in a copy of the project', () => {
  let copy: ProjectCopy;
  let temporaryFolder: string;
  let vitest: ManagedProcess;
  let source: string;
  const lines: string[] = [];

  beforeAll(async () => {
    copy = await copyProject();
    temporaryFolder = await mkdtemp(join(tmpdir(), 'watch-test-'));
    source = await readFile(join(copy.folder, WORKFLOW), 'utf8');
  }, TIMEOUT_MS);
  afterAll(async () => {
    await vitest?.stop();
    await copy?.remove();
    await rm(temporaryFolder, { recursive: true, force: true });
  });

  const save = (file: string, text: string) => writeFile(join(copy.folder, file), text);

  /** Waits until a line matches that is printed after the call of `action`. @returns the lines after the call. */
  async function linesAfter(action: () => Promise<unknown>, isLast: RegExp): Promise<string[]> {
    const start = lines.length;
    await action();
    const findLast = () => {
      const last = lines.slice(start).find((line) => isLast.test(line));
      if (last === undefined) throw new Error(lines.slice(start).join('\n'));
      return last;
    };
    await waitUntil(findLast, { description: `a line ${String(isLast)}`, timeoutMs: TIMEOUT_MS });
    return lines.slice(start);
  }

  test(
    'runs workflow tests after a change of the workflow, and continues after an error',
    async () => {
      const start = async () => {
        vitest = await startProcess({
          name: 'npm run test:watch',
          command: process.execPath,
          args: ['tools/run.mjs', 'tools/project/test.ts', '--watch', 'test/workflows/cart', '-t', 'by default'],
          cwd: copy.folder,
          env: { ...commandEnvironment(), TMPDIR: temporaryFolder, NO_COLOR: '1' },
          onLine: (line) => lines.push(line),
        });
      };
      expect((await linesAfter(start, RUN_END)).join('\n')).toMatch(/Tests +1 passed/);

      const broken = await linesAfter(() => save(WORKFLOW, `${source}\nconst broken = ;\n`), /> const broken/);
      expect(broken.filter((line) => line.trim() !== '').slice(-3)).toEqual([
        expect.stringMatching(/^error: src\/workflows\/cart\/workflow\.ts:\d+:16$/),
        '  Unexpected ";"',
        '  > const broken = ;',
      ]);

      const wrong = source.replace(
        'return state.viewWithChanges;',
        `return { ...state.viewWithChanges, status: 'open' };`,
      );
      expect(wrong).not.toBe(source);
      expect((await linesAfter(() => save(WORKFLOW, wrong), RUN_END)).join('\n')).toMatch(/Tests +1 failed/);
      expect((await linesAfter(() => save(WORKFLOW, source), RUN_END)).join('\n')).toMatch(/Tests +1 passed/);

      const newTest = `import { test } from 'vitest';\ntest('by default, a new file runs', () => undefined);\n`;
      const added = await linesAfter(() => save('test/workflows/cart/added.test.ts', newTest), RUN_END);
      expect(added.join('\n')).toMatch(/added\.test\.ts \(1 test\)/);
    },
    4 * TIMEOUT_MS,
  );

  test('stops its servers and removes their files after Ctrl-C', async () => {
    const processes = descendantsOf(vitest.pid);
    expect(processes.map(({ command }) => command)).toContainEqual(expect.stringContaining('postgres'));

    vitest.kill('SIGINT');
    await vitest.exited;

    const haveEnded = () => {
      const pids = processes.map(({ pid }) => pid);
      expect(
        runningProcesses().filter(({ pid, command }) => pids.includes(pid) && !command.includes('<defunct>')),
      ).toEqual([]);
      return true;
    };
    await waitUntil(haveEnded, { description: 'the end of all processes', timeoutMs: TIMEOUT_MS });
    expect(readdirSync(temporaryFolder).filter((name) => name.startsWith('orchestration-test-'))).toEqual([]);
  });
});

interface RunningProcess {
  pid: number;
  parent: number;
  command: string;
}

function runningProcesses(): RunningProcess[] {
  const rows = execFileSync('ps', ['-A', '-o', 'pid=,ppid=,args='], { encoding: 'utf8' }).trim().split('\n');
  return rows.map((row) => {
    const [, pid, parent, command] = /^ *(\d+) +(\d+) +(.*)$/.exec(row)!;
    return { pid: Number(pid), parent: Number(parent), command: command! };
  });
}

function descendantsOf(pid: number, running = runningProcesses()): RunningProcess[] {
  const children = running.filter(({ parent }) => parent === pid);
  return [...children, ...children.flatMap((child) => descendantsOf(child.pid, running))];
}
