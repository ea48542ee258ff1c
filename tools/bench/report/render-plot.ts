import { init, type CustomSeriesOption } from 'echarts';
import { formatNumber, computeSummary, type Comparison, type ComparisonSummary } from '../measure/comparison.js';

const WIDTH = 960;
const LABEL_WIDTH = 420;
const NUMBER_WIDTH = 230;
const ROW_HEIGHT = 26;
const HEADER_HEIGHT = 76;
const FOOTER_HEIGHT = 34;

/** The background is fixed, so the plot looks the same on a light and on a dark page. */
const COLOURS = { background: '#ffffff', text: '#1f2328', faint: '#d1d9e0', muted: '#59636e' };
const COLOUR_BY_VERDICT = { better: '#0969da', worse: '#bc4c00', neither: '#59636e' };

/** The axis spans at least 1/2 to 2. A wider axis has at most this many grid lines. */
const MAX_GRID_LINES = 6;
const MAX_DOUBLINGS = 16;

/**
 * Plots the ratios of a bench as an SVG. The axis is logarithmic, so all doublings have the same width. A point marks
 * the median, and a line marks the range from lowest to highest.
 */
export function renderPlot(title: string, figures: Comparison[]): string {
  const summaries = figures.map(computeSummary);
  const height = HEADER_HEIGHT + figures.length * ROW_HEIGHT + FOOTER_HEIGHT;
  const chart = init(null, null, { renderer: 'svg', ssr: true, width: WIDTH, height });
  chart.setOption({
    animation: false,
    backgroundColor: COLOURS.background,
    textStyle: { fontFamily: 'sans-serif' },
    title: {
      text: title,
      subtext: 'ratio to the base, median and lowest to highest; blue is better, orange is worse',
      left: 12,
      top: 8,
      itemGap: 6,
      textStyle: { fontSize: 15, color: COLOURS.text },
      subtextStyle: { fontSize: 12, color: COLOURS.muted },
    },
    grid: { left: LABEL_WIDTH, right: NUMBER_WIDTH, top: HEADER_HEIGHT, bottom: FOOTER_HEIGHT },
    xAxis: {
      type: 'value',
      ...axisRange(summaries),
      axisLabel: { formatter: (doublings: number) => `× ${formatPowerOfTwo(doublings)}`, color: COLOURS.muted },
      splitLine: { lineStyle: { color: COLOURS.faint } },
    },
    yAxis: {
      type: 'category',
      inverse: true,
      data: figures.map(({ name }) => name),
      axisLabel: { fontSize: 12, color: COLOURS.text, width: LABEL_WIDTH - 24, overflow: 'truncate', interval: 0 },
      axisTick: { show: false },
      axisLine: { show: false },
    },
    series: [
      {
        type: 'custom',
        silent: true,
        clip: false,
        data: summaries.map(({ minRatio, ratio, maxRatio }, row) => [
          row,
          ...[minRatio, ratio, maxRatio].map(toDoublings),
        ]),
        renderItem: (_params, api) => {
          const row = api.value(0) as number;
          const summary = summaries[row]!;
          const [low, middle, high] = [1, 2, 3].map((at) => api.coord([api.value(at), row])) as [Point, Point, Point];
          const fill = COLOUR_BY_VERDICT[summary.verdict];
          return {
            type: 'group',
            children: [
              rangeLine(low, high, fill),
              { type: 'circle', shape: { cx: middle[0], cy: middle[1], r: 5 }, style: { fill } },
              {
                type: 'text',
                x: WIDTH - NUMBER_WIDTH + 14,
                y: middle[1],
                style: { text: formatSummary(summary), fill: COLOURS.text, fontSize: 12, verticalAlign: 'middle' },
              },
            ],
          };
        },
        markLine: {
          symbol: 'none',
          silent: true,
          label: { show: false },
          lineStyle: { type: 'solid', color: COLOURS.muted, width: 1.5 },
          data: [{ xAxis: 0 }],
        },
      } satisfies CustomSeriesOption,
    ],
  });
  const svg = chart.renderToSVGString();
  chart.dispose();
  return `${removeElementNumbers(svg)}\n`;
}

/**
 * Removes the ids that the library assigns for interactive pages. They depend on earlier plots of the process, so equal
 * figures would give different files.
 */
function removeElementNumbers(svg: string): string {
  return svg.replace(/<style[^]*?<\/style>\n*/g, '').replace(/ (class|ecmeta_\w+)="[^"]*"/g, '');
}

type Point = [number, number];

function rangeLine([x1, y1]: Point, [x2, y2]: Point, stroke: string) {
  return { type: 'line' as const, shape: { x1, y1, x2, y2 }, style: { stroke, lineWidth: 2 } };
}

/** Draws a ratio near zero or infinity at the end of the axis. */
const toDoublings = (ratio: number): number => Math.min(Math.max(Math.log2(ratio), -MAX_DOUBLINGS), MAX_DOUBLINGS) || 0;

/** The unit of the axis is one doubling, so 1/2 and 2 are equally far from 1. */
function axisRange(summaries: ComparisonSummary[]): { min: number; max: number; interval: number } {
  const min = Math.min(-1, ...summaries.map(({ minRatio }) => Math.floor(toDoublings(minRatio))));
  const max = Math.max(1, ...summaries.map(({ maxRatio }) => Math.ceil(toDoublings(maxRatio))));
  const interval = Math.ceil((max - min) / MAX_GRID_LINES);
  // Rounds to multiples of the interval, so that a grid line marks the ratio 1.
  return { min: Math.floor(min / interval) * interval, max: Math.ceil(max / interval) * interval, interval };
}

const formatPowerOfTwo = (doublings: number): string =>
  doublings >= 0 ? String(2 ** doublings) : `1/${2 ** -doublings}`;

const formatSummary = ({ ratio, minRatio, maxRatio }: ComparisonSummary): string =>
  `${formatNumber(ratio)}  (${formatNumber(minRatio)} to ${formatNumber(maxRatio)})`;
