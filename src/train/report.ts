// Renders a training run as one HTML page that works from a file without network: charts, tables, no server, no build
// step. Which curves there are is the caller's choice; the page's own style and script are in report_page.ts. Node
// only.

import { ValueError } from '../errors.ts';
import { nodeModule } from '../files/node.ts';
import { declareOptions, kind, required, requireOptions } from '../options.ts';
import { REPORT_SCRIPT, REPORT_STYLE } from './report_page.ts';

/** One line of a chart; null, NaN and infinities leave a gap. */
export type ReportSeries = {
  /** Shown beside the line's colour. */
  name: string;
  /** A value for each horizontal position; null: a gap. */
  values: readonly (number | null)[];
};

/** One chart. All series share the x values. */
export type ReportCurve = {
  /** The heading. */
  title: string;
  /** What the vertical axis shows, with its unit. */
  yLabel: string;
  /** The lines. */
  series: readonly ReportSeries[];
  /** What the horizontal axis shows. Default: `'epoch'`. */
  xLabel?: string;
  /** The horizontal positions, ascending. Default: 1, 2, 3, … */
  x?: readonly number[];
  /** A sentence below the title: what the chart shows, what to look for. */
  note?: string;
};

/** One table; numbers are right-aligned and rounded to six digits. */
export type ReportTable = {
  /** The heading. */
  title: string;
  /** The heads of the columns. */
  columns: readonly string[];
  /** The lines, each with a value for every column; null: empty. */
  rows: readonly (readonly (string | number | null)[])[];
};

/** What `renderReport` shows: metrics per epoch as a table, charts, further tables. */
export type ReportContent = {
  /** The heading of the page. */
  title: string;
  /** The figures of each epoch by name, for a table. */
  epochs: readonly Readonly<Record<string, string | number | null>>[];
  /** The charts, in their order. */
  curves: readonly ReportCurve[];
  /** Further tables. Default: none. */
  tables?: readonly ReportTable[];
};

const reportContent = declareOptions<ReportContent>({
  title: required(kind.string),
  epochs: required(kind.object),
  curves: required(kind.object),
  tables: kind.object,
});

/** Content that cannot be drawn: series of unequal length, x values that do not ascend, ragged tables. */
export class ReportError extends ValueError {
  override name = 'ReportError';
}

/**
 * A self-contained HTML page with the charts and tables of a run.
 *
 * uPlot is inlined, so the string can be saved and opened anywhere. All text is escaped. Throws ReportError where
 * numbers of values do not agree.
 */
export function renderReport(content: ReportContent): string {
  requireOptions('renderReport', content, reportContent);
  const { title, epochs, curves, tables = [] } = content;
  const charts = curves.map(checkCurve);
  const uplot = readUplot();
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)}</title>
<style>${uplot.style}</style>
<style>${REPORT_STYLE}</style>
</head>
<body>
<h1>${escapeHtml(title)}</h1>
<main>
${curves.map(renderCurve).join('\n')}
</main>
${epochs.length > 0 ? renderTable(epochTable(epochs)) : ''}
${tables.map(renderTable).join('\n')}
<script>${uplot.script}</script>
<script type="application/json" id="charts">${embedJson(charts)}</script>
<script>${REPORT_SCRIPT}</script>
</body>
</html>
`;
}

function readUplot(): { script: string; style: string } {
  const { createRequire } = nodeModule('renderReport', 'module');
  const { dirname, join } = nodeModule('renderReport', 'path');
  const { readFileSync } = nodeModule('renderReport', 'fs');
  const dist = dirname(createRequire(import.meta.url).resolve('uplot'));
  return {
    script: readFileSync(join(dist, 'uPlot.iife.min.js'), 'utf8'),
    style: readFileSync(join(dist, 'uPlot.min.css'), 'utf8'),
  };
}

type Chart = { xLabel: string; yLabel: string; names: string[]; data: (number | null)[][] };

function checkCurve({ title, series, x, xLabel = 'epoch', yLabel }: ReportCurve): Chart {
  const length = x?.length ?? Math.max(0, ...series.map(({ values }) => values.length));
  for (const { name, values } of series) {
    if (values.length !== length) {
      throw new ReportError(
        `[renderReport] curve ${JSON.stringify(title)}: expected ${length} values in each series, got ${values.length} in ${JSON.stringify(name)}`,
      );
    }
  }
  const positions = x ? [...x] : Array.from({ length }, (_, i) => i + 1);
  // NaN fails the comparison too.
  if (positions.some((value, i) => !Number.isFinite(value) || (i > 0 && !(value > positions[i - 1]!)))) {
    throw new ReportError(`[renderReport] curve ${JSON.stringify(title)}: expected ascending x values`);
  }
  const gaps = (values: readonly (number | null)[]) =>
    values.map((value) => (value !== null && Number.isFinite(value) ? value : null));
  return {
    xLabel,
    yLabel,
    names: series.map(({ name }) => name),
    data: [positions, ...series.map(({ values }) => gaps(values))],
  };
}

function renderCurve({ title, note }: ReportCurve): string {
  const text = note === undefined ? '' : `<p>${escapeHtml(note)}</p>`;
  return `<section><h2>${escapeHtml(title)}</h2>${text}<div class="chart"></div></section>`;
}

function epochTable(epochs: ReportContent['epochs']): ReportTable {
  const columns = [...new Set(epochs.flatMap((metrics) => Object.keys(metrics)))];
  const named = columns.includes('epoch');
  return {
    title: 'Epochs',
    columns: named ? columns : ['epoch', ...columns],
    rows: epochs.map((metrics, i) => {
      const cells = columns.map((column) => metrics[column] ?? null);
      return named ? cells : [i + 1, ...cells];
    }),
  };
}

function renderTable({ title, columns, rows }: ReportTable): string {
  const ragged = rows.findIndex((row) => row.length !== columns.length);
  if (ragged >= 0) {
    throw new ReportError(
      `[renderReport] table ${JSON.stringify(title)}: expected ${columns.length} cells in each row, got ${rows[ragged]!.length} in row ${ragged}`,
    );
  }
  const cell = (value: string | number | null) =>
    typeof value === 'number'
      ? `<td class="number">${formatNumber(value)}</td>`
      : `<td>${escapeHtml(value ?? '')}</td>`;
  const head = columns.map((column) => `<th scope="col">${escapeHtml(column)}</th>`).join('');
  const body = rows.map((row) => `<tr>${row.map(cell).join('')}</tr>`).join('\n');
  return `<section><h2>${escapeHtml(title)}</h2><div class="scroll"><table>
<thead><tr>${head}</tr></thead>
<tbody>
${body}
</tbody>
</table></div></section>`;
}

function formatNumber(value: number): string {
  return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(6)));
}

function escapeHtml(text: string): string {
  const entities: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
  return text.replace(/[&<>"']/g, (character) => entities[character]!);
}

// JSON inside a script element must not be able to end it.
function embedJson(value: unknown): string {
  return JSON.stringify(value).replaceAll('<', '\\u003c');
}
