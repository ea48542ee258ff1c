import type { Client } from '@temporalio/client';
import { orderIdOfApproval } from '../schemas/approval.js';
import { eraseInput, type EraseResult, type OpenWork, type PersonalDataCounts } from '../schemas/erasure.js';
import type { PersonRecords } from '../store/erasure/erasure.js';
import type { Store } from '../store/index.js';
import { isOpen } from '../temporal/client/closed-executions.js';
import { deleteClosedRun } from '../temporal/client/delete-executions.js';
import { describeExecution, firstRunIdOf } from '../temporal/client/describe-execution.js';
import { deleteClosedActivity, readStandaloneActivity } from '../temporal/client/standalone-activities.js';
import { listExecutions, quoteCallerId, workflowIdIn, type Execution } from '../temporal/client/visibility.js';
import {
  approvalIdOf,
  approvalWorkflowId,
  approversAttribute,
  outcomeReportId,
} from '../workflows/approval/contract.js';
import { cartIdOf, cartWorkflowId } from '../workflows/cart/contract.js';
import { customerIdAttribute, orderIdOf, orderWorkflowId } from '../workflows/order/contract.js';
import { clientsOfShop } from './approval-namespace.js';
import { withHeartbeat } from './external/heartbeat.js';
import { parseInput } from './failures.js';

/** The number of workflow ids that one visibility query contains. */
const IDS_PER_QUERY = 50;
const PAGE_SIZE = 100;

/** The result of a workflow must stay small. */
const MAX_OPEN_WORK = 100;

/** `open` has at most 100 entries. */
type FoundOpenWork = Pick<EraseResult, 'open' | 'openCount'>;

export interface PersonalData extends FoundOpenWork {
  found: PersonalDataCounts;
}

/** A run, with the client of its namespace. */
type FoundRun = Pick<Execution, 'workflowId' | 'runId' | 'status'> & { client: Client };

export interface ErasureSettings {
  store: Store;
  approvalNamespace?: string | undefined;
}

export function createErasureActivities({ store, approvalNamespace }: ErasureSettings) {
  async function findData(customerId: string) {
    const clients = clientsOfShop(approvalNamespace);
    const records = await store.findRecordsOfPerson(customerId);
    const executions = await findExecutions(clients, customerId, records);
    const open = new Map(
      [
        ...records.orders.filter(({ isOpen }) => isOpen).map(({ orderId }) => openOrder(orderId)),
        ...executions.filter(isOpen).map(({ workflowId }) => openWorkflow(workflowId)),
        ...(await findOpenWorkflows(clients, records)),
        ...(await findRunningReports(clients, records.approvals)),
      ].map((work) => [`${work.kind} ${work.id}`, work]),
    );
    const openWork: FoundOpenWork = { open: [...open.values()].slice(0, MAX_OPEN_WORK), openCount: open.size };
    return { records, executions, openWork };
  }

  return {
    /**
     * Counts the records and the closed workflow runs of a person, and lists the work in progress.
     *
     * @param input the input of the workflow. @throws `InvalidInput`.
     */
    async findPersonalData({ input }: { input: unknown }): Promise<PersonalData> {
      const { customerId } = parseInput(eraseInput, input);
      return await withHeartbeat(async () => {
        const { records, executions, openWork } = await findData(customerId);
        return {
          found: {
            orders: records.orders.length,
            carts: records.carts.length,
            approvals: records.approvals.length,
            responses: records.responseCount,
            workflowRuns: executions.filter((execution) => !isOpen(execution)).length,
          },
          ...openWork,
        };
      });
    },

    /**
     * Requests the deletion of the closed workflow runs of a person, and of the reports of their approvals. Must run
     * before `erasePersonalRecords`, because the records find the workflows.
     */
    async deletePersonalWorkflows({ customerId }: { customerId: string }): Promise<void> {
      await withHeartbeat(async (cancellation) => {
        const records = await store.findRecordsOfPerson(customerId);
        const clients = clientsOfShop(approvalNamespace);
        for (const execution of await findExecutions(clients, customerId, records)) {
          cancellation.throwIfAborted();
          if (!isOpen(execution)) await deleteClosedRun(execution.client, execution);
        }
        for (const { approvalId } of records.approvals) {
          cancellation.throwIfAborted();
          for (const client of clients) await deleteClosedActivity(client, outcomeReportId(approvalId));
        }
      });
    },

    /**
     * Erases the records of a person. Checks again that no work is open, because orders, carts and approvals can open
     * after `findPersonalData`.
     *
     * @returns the open work. In this case, nothing was erased.
     */
    async erasePersonalRecords({ customerId }: { customerId: string }): Promise<FoundOpenWork | undefined> {
      return await withHeartbeat(async (cancellation) => {
        const { records, openWork } = await findData(customerId);
        if (openWork.openCount > 0) return openWork;
        await store.erasePerson(customerId, records, cancellation);
        return undefined;
      });
    },
  };
}

const openOrder = (orderId: string): OpenWork => ({
  kind: 'order',
  id: orderId,
  problem: 'the order has no outcome, or is in the list for a person',
});

function openWorkflow(workflowId: string): OpenWork {
  const problem = 'the workflow is open';
  const [kind] = workflowId.split(':', 1);
  if (kind === 'cart') return { kind, id: cartIdOf(workflowId), problem };
  if (kind === 'approval') return { kind, id: approvalIdOf(workflowId), problem };
  return { kind: 'order', id: orderIdOf(workflowId), problem };
}

/**
 * Finds the runs of a person. An order whose approval the person could decide counts too, because its history contains
 * the approvers and their addresses.
 */
async function findExecutions(
  clients: readonly Client[],
  personId: string,
  { orders, carts, approvals }: PersonRecords,
): Promise<FoundRun[]> {
  const workflowIds = new Set([
    ...orders.map(({ orderId }) => orderWorkflowId(orderId)),
    ...approvals.map(({ approvalId }) => approvalWorkflowId(approvalId)),
    ...approvals.flatMap(({ approvalId }) => orderIdOfApproval(approvalId) ?? []).map(orderWorkflowId),
  ]);
  const found = [
    ...(await listAll(clients, `${customerIdAttribute.name} = ${quoteCallerId(personId)}`)),
    ...(await listAll(clients, `${approversAttribute.name} = ${quoteCallerId(personId)}`)),
    ...(await listByIds(clients, [...workflowIds])),
    ...(await findRunsOfCarts(clients, carts)),
  ];
  return [...new Map(found.map((execution) => [execution.runId, execution])).values()];
}

/**
 * Finds the open workflows of carts and approvals that are open in the store. Describes each workflow, because
 * visibility shows a new workflow late.
 */
async function findOpenWorkflows(clients: readonly Client[], { carts, approvals }: PersonRecords): Promise<OpenWork[]> {
  const candidates = [
    ...carts.map(({ cartId, firstRunId, isOpen }) => ({ workflowId: cartWorkflowId(cartId), firstRunId, isOpen })),
    ...approvals.map(({ approvalId, isOpen }) => ({ workflowId: approvalWorkflowId(approvalId), isOpen })),
  ];
  const found: OpenWork[] = [];
  for (const { workflowId, ...record } of candidates.filter(({ isOpen }) => isOpen)) {
    for (const client of clients) {
      const description = await describeExecution(client, { workflowId });
      if (!description || !isOpen(description)) continue;
      if ('firstRunId' in record && record.firstRunId !== firstRunIdOf(description)) continue;
      found.push(openWorkflow(workflowId));
    }
  }
  return found;
}

/** Finds the approvals whose outcome is being reported. The report contains the view of the approval. */
async function findRunningReports(
  clients: readonly Client[],
  approvals: PersonRecords['approvals'],
): Promise<OpenWork[]> {
  const found: OpenWork[] = [];
  for (const client of clients) {
    for (const { approvalId: id } of approvals) {
      const report = await readStandaloneActivity(client, outcomeReportId(id));
      // This namespace offers no reports. Another namespace may offer them.
      if (report === 'unsupported') break;
      if (report?.status === 'running') found.push({ kind: 'approval', id, problem: 'its outcome is being reported' });
    }
  }
  return found;
}

/** The id of a cart can be reused by another customer, so the first run id decides. */
async function findRunsOfCarts(clients: readonly Client[], carts: PersonRecords['carts']): Promise<FoundRun[]> {
  const firstRunIds = new Set(carts.map(({ firstRunId }) => firstRunId));
  const found: FoundRun[] = [];
  const cartIds = [...new Set(carts.map(({ cartId }) => cartWorkflowId(cartId)))];
  for (const { client, ...execution } of await listByIds(clients, cartIds)) {
    const description = await describeExecution(client, execution);
    if (description && firstRunIds.has(firstRunIdOf(description))) found.push({ ...description, client });
  }
  return found;
}

async function listByIds(clients: readonly Client[], workflowIds: string[]): Promise<FoundRun[]> {
  const found: FoundRun[] = [];
  for (let start = 0; start < workflowIds.length; start += IDS_PER_QUERY)
    found.push(...(await listAll(clients, workflowIdIn(workflowIds.slice(start, start + IDS_PER_QUERY)))));
  return found;
}

async function listAll(clients: readonly Client[], query: string): Promise<FoundRun[]> {
  const found: FoundRun[] = [];
  for (const client of clients) {
    let pageToken: Uint8Array | undefined;
    do {
      const page = await listExecutions(client, { query, pageSize: PAGE_SIZE, pageToken });
      found.push(...page.executions.map((execution) => ({ ...execution, client })));
      pageToken = page.nextPageToken;
    } while (pageToken);
  }
  return found;
}
