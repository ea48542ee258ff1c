import { reportInput, type DailyReport } from '../schemas/report.js';
import type { Store } from '../store/index.js';
import { withHeartbeat } from './external/heartbeat.js';
import { parseInput } from './failures.js';

const DEFAULT_DAYS = 7;
const DAY_MS = 24 * 60 * 60_000;

export function createReportActivities({ store }: { store: Pick<Store, 'writeDailyReport'> }) {
  return {
    /**
     * Writes the figures of the days before today, the oldest day first. A repeated call replaces them.
     *
     * @param input the input of the workflow. @throws `InvalidInput`.
     */
    async writeDailyReports({ input }: { input?: unknown }): Promise<DailyReport[]> {
      const { days = DEFAULT_DAYS } = parseInput(reportInput, input) ?? {};
      const now = Date.now();
      return await withHeartbeat(async (cancellation) => {
        const reports: DailyReport[] = [];
        for (let daysAgo = days; daysAgo >= 1; daysAgo -= 1) {
          cancellation.throwIfAborted();
          const day = new Date(now - daysAgo * DAY_MS).toISOString().slice(0, 'YYYY-MM-DD'.length);
          reports.push(await store.writeDailyReport(day));
        }
        return reports;
      });
    },
  };
}
