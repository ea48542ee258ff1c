import { init, type CustomSeriesOption } from 'echarts';
import { shown, summaryOf, type Figure, type Summary } from '../measure/figure.js';

const WIDTH = 960;
const LABELS = 420;
const NUMBERS = 230;
const ROW = 26;
const HEAD = 76;
const FOOT = 34;

/** A fixed background, so that the plot looks the same on a light and on a dark page. */
const COLOURS = { background: '#ffffff', text: '#1f2328', faint: '#d1d9e0', muted: '#59636e' };
const BY_VERDICT = { better: '#0969da', worse: '#bc4c00', neither: '#59636e' };

/** The axis spans at least half to double; a wider range gets fewer grid lines. */
const MOST_LINES = 6;
const FURTHEST = 16;

/**
 * Plots the ratios of a bench as an SVG with a logarithmic axis, on which all doublings are equally wide. A point marks
 * the median, a line the range from lowest to highest.
 */
export function plotOf(title: string, figures: Figure[]): string {
  const summaries = figures.map(summaryOf);
  const height = HEAD + figures.length * ROW + FOOT;
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
    grid: { left: LABELS, right: NUMBERS, top: HEAD, bottom: FOOT },
    xAxis: {
      type: 'value',
      ...rangeOf(summaries),
      axisLabel: { formatter: (doublings: number) => `× ${shownPower(doublings)}`, color: COLOURS.muted },
      splitLine: { lineStyle: { color: COLOURS.faint } },
    },
    yAxis: {
      type: 'category',
      inverse: true,
      data: figures.map(({ name }) => name),
      axisLabel: { fontSize: 12, color: COLOURS.text, width: LABELS - 24, overflow: 'truncate', interval: 0 },
      axisTick: { show: false },
      axisLine: { show: false },
    },
    series: [
      {
        type: 'custom',
        silent: true,
        clip: false,
        data: summaries.map(({ lowest, ratio, highest }, row) => [row, ...[lowest, ratio, highest].map(doublingsOf)]),
        renderItem: (_params, api) => {
          const row = api.value(0) as number;
          const summary = summaries[row]!;
          const [low, middle, high] = [1, 2, 3].map((at) => api.coord([api.value(at), row])) as [Point, Point, Point];
          const fill = BY_VERDICT[summary.verdict];
          return {
            type: 'group',
            children: [
              lineFrom(low, high, fill),
              { type: 'circle', shape: { cx: middle[0], cy: middle[1], r: 5 }, style: { fill } },
              {
                type: 'text',
                x: WIDTH - NUMBERS + 14,
                y: middle[1],
                style: { text: inNumbers(summary), fill: COLOURS.text, fontSize: 12, verticalAlign: 'middle' },
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
  return `${withoutCounters(svg)}\n`;
}

/**
 * The library numbers styles and elements over the life of the process, for interactive pages. Without the numbers, the
 * same figures give the same file.
 */
function withoutCounters(svg: string): string {
  return svg.replace(/<style[^]*?<\/style>\n*/g, '').replace(/ (class|ecmeta_\w+)="[^"]*"/g, '');
}

type Point = [number, number];

function lineFrom([x1, y1]: Point, [x2, y2]: Point, stroke: string) {
  return { type: 'line' as const, shape: { x1, y1, x2, y2 }, style: { stroke, lineWidth: 2 } };
}

/** Limits the axis: a ratio near zero or infinity is drawn at its end. */
const doublingsOf = (ratio: number): number => Math.min(Math.max(Math.log2(ratio), -FURTHEST), FURTHEST) || 0;

/** The axis counts doublings: half and double are equally far from the base. */
function rangeOf(summaries: Summary[]): { min: number; max: number; interval: number } {
  const min = Math.min(-1, ...summaries.map(({ lowest }) => Math.floor(doublingsOf(lowest))));
  const max = Math.max(1, ...summaries.map(({ highest }) => Math.ceil(doublingsOf(highest))));
  const interval = Math.ceil((max - min) / MOST_LINES);
  // Multiples of the interval, so that the line of the base is one of the grid lines.
  return { min: Math.floor(min / interval) * interval, max: Math.ceil(max / interval) * interval, interval };
}

const shownPower = (doublings: number): string => (doublings >= 0 ? String(2 ** doublings) : `1/${2 ** -doublings}`);

const inNumbers = ({ ratio, lowest, highest }: Summary): string =>
  `${shown(ratio)}  (${shown(lowest)} to ${shown(highest)})`;
