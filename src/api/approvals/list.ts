import type { ApprovalSummary } from '../../schemas/approval.js';
import type { ApprovalFilter } from '../../store/approvals.js';
import type { Store } from '../../store/index.js';
import { nextPositionAfter, type Page, type PageRequest } from '../http/list-pages.js';

/**
 * Lists a page of approvals from the store, newest first. Approvals never change places in the list, so pages neither
 * repeat nor skip an approval.
 */
export async function listApprovals(
  store: Store,
  filter: ApprovalFilter,
  page: PageRequest,
): Promise<Page<ApprovalSummary>> {
  const { limit, position: before } = page;
  const rows = await store.listApprovals(filter, { before, limit });
  return {
    items: rows.map(({ number: _number, ...summary }) => summary),
    ...nextPositionAfter(rows, page, ({ number }) => number),
  };
}
