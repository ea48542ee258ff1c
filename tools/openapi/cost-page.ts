import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { restock } from '../../src/batch-operations/restock.js';
import { ACTION_KINDS, countActions, totalOf, type ActionCounts } from '../actions/count-actions.js';
import { formatCount } from '../measurement/statistics.js';
import { readCommittedHistories } from '../replay/histories.js';
import { eventSubject, eventTypeName, type History, type HistoryEvent } from '../replay/history-events.js';
import { projectRoot } from '../settings/environment.js';
import { formatPage, renderTable } from './markdown.js';

export const COST_PAGE_PATH = join(projectRoot, 'docs/operations/cost.md');

const TABLE = /(?<=<!-- Start of the table [^\n]*-->\n)[^]*(?=<!-- End of the table -->)/;

/** An operation of the shop, and the events of a recorded history that belong to it. */
interface Operation {
  name: string;
  /** The file name of the history, without its extension. */
  history: string;
  /** Default: all events. */
  includes?: (event: HistoryEvent) => boolean;
  /** Whether an event marks one repetition. The cost of the operation is the average of all repetitions. */
  isRepetition?: (event: HistoryEvent) => boolean;
}

const isUpdate = (event: HistoryEvent) => eventTypeName(event) === 'WorkflowExecutionUpdateAccepted';
const isItemCheck = (event: HistoryEvent) => eventSubject(event) === 'checkItem';
const isChunk = (event: HistoryEvent) => eventSubject(event) === 'processBatchChunk';

const OPERATIONS: Operation[] = [
  { name: 'an order with two carrier reports, completed', history: 'order-completed' },
  {
    name: 'an order with three carrier reports and an approval, without the approval itself',
    history: 'order-approved',
  },
  { name: 'an approval with one approver, decided with an update', history: 'approval-approved' },
  { name: 'a cart run with three changes', history: 'cart-continued-as-new' },
  {
    name: 'a further change of a cart',
    history: 'cart-continued-as-new',
    includes: (event) => isUpdate(event) || isItemCheck(event),
    isRepetition: isUpdate,
  },
  { name: 'a batch with three chunks', history: 'batch-completed' },
  { name: 'a further chunk of a batch', history: 'batch-completed', includes: isChunk, isRepetition: isChunk },
];

/** Renders the page of costs: the committed page with the current table. */
export async function renderCostPage(): Promise<string> {
  const page = await readFile(COST_PAGE_PATH, 'utf8');
  if (!TABLE.test(page)) throw new Error(`${COST_PAGE_PATH}: no markers of the table`);
  const histories = await readLatestHistories();
  const rows = OPERATIONS.map((operation) => {
    const counts = countOperation(operation, histories);
    return [operation.name, String(totalOf(counts)), formatKinds(counts), `\`${operation.history}\``];
  });
  const perItem = [
    `a batch item, in chunks of ${formatCount(restock.itemsPerChunk)} items (default)`,
    String(1 / restock.itemsPerChunk),
    `1 / ${formatCount(restock.itemsPerChunk)} of a chunk`,
    'computed',
  ];
  const table = renderTable(['operation', 'Actions', 'kinds', 'history'], [...rows, perItem]);
  return await formatPage(COST_PAGE_PATH, page.replace(TABLE, `\n${table}\n`));
}

/** Reads the committed histories by name. Of a name with several generations, reads the latest. */
async function readLatestHistories(): Promise<Map<string, History>> {
  const histories = await readCommittedHistories();
  return new Map(histories.map(({ file, history }) => [basename(file, '.json'), history]));
}

function countOperation(
  { name, history, includes = () => true, isRepetition }: Operation,
  histories: Map<string, History>,
): ActionCounts {
  const events = histories.get(history)?.events?.filter(includes);
  if (!events?.length) throw new Error(`${name}: no events in the history ${history}`);
  const repetitions = isRepetition ? events.filter(isRepetition).length : 1;
  const counts = Object.entries(countActions({ events }));
  return Object.fromEntries(counts.map(([kind, count]) => [kind, count / repetitions]));
}

const formatKinds = (counts: ActionCounts): string =>
  ACTION_KINDS.flatMap((kind) => (counts[kind] ? [`${counts[kind]} × ${kind}`] : [])).join(', ');
