import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Folders whose files start processes and therefore take longest. */
const SLOW_FOLDERS = [
  'test/e2e/',
  'test/observability/metrics/',
  'test/tools/',
  'test/workflows/batch/',
  'test/replay/',
  'examples/',
];

/**
 * Runs the longest files first, so that none of them runs alone at the end. vitest itself sorts by its earlier
 * measurements, and on a fresh clone by size.
 */
export class LongestFirstSequencer extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const isLong = ({ moduleId }: TestSpecification) => SLOW_FOLDERS.some((folder) => moduleId.includes(`/${folder}`));
    const sorted = await super.sort(files);
    return [...sorted.filter(isLong), ...sorted.filter((file) => !isLong(file))];
  }
}
