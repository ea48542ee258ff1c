import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Folders with slow test files, because these tests start processes. */
const SLOW_FOLDERS = [
  'test/e2e/',
  'test/observability/metrics/',
  'test/tools/',
  'test/workflows/batch/',
  'test/replay/',
  'examples/',
];

/**
 * Runs the slowest test files first, so that no slow file runs alone at the end. Within each group, vitest sorts by the
 * durations of earlier runs, or by file size in a fresh clone.
 */
export class LongestFirstSequencer extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const isLong = ({ moduleId }: TestSpecification) => SLOW_FOLDERS.some((folder) => moduleId.includes(`/${folder}`));
    const sorted = await super.sort(files);
    return [...sorted.filter(isLong), ...sorted.filter((file) => !isLong(file))];
  }
}
