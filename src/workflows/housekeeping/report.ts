import type { DailyReport, ReportInput } from '../../schemas/report.js';
import { writeDailyReports } from './activities.js';

/**
 * Writes the figures of the last seven days, one row per day. An order that completes days later is counted on the day
 * on which it was placed, so each run replaces the figures of the earlier runs.
 */
export async function report(input?: ReportInput): Promise<DailyReport[]> {
  return await writeDailyReports({ input });
}
