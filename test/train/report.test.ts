// The report page: complete in itself, escaped, and its script draws what was given.

import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import { type ReportContent, ReportError, renderReport } from '../../src/train/report.ts';

const content: ReportContent = {
  title: 'Fashion-MNIST <run> & "more"',
  epochs: [
    { loss: 0.5, accuracy: 0.8123456789, note: '<b>' },
    { loss: Number.NaN, accuracy: 0.9, extra: null },
  ],
  curves: [
    {
      title: 'Loss </script><script>alert(1)</script>',
      yLabel: 'cross entropy',
      note: 'Lower is better.',
      series: [
        { name: 'train', values: [0.7, 0.5] },
        { name: 'eval </script>', values: [null, Number.NaN] },
      ],
    },
    {
      title: 'bn1: mean',
      yLabel: 'mean',
      xLabel: 'step',
      x: [10, 20, 35],
      series: [{ name: 'running', values: [1, 2, Number.POSITIVE_INFINITY] }],
    },
  ],
  tables: [
    {
      title: 'Run',
      columns: ['key', 'value'],
      rows: [
        ['seed', 7],
        ['device', 'cpu'],
      ],
    },
  ],
};
const page = renderReport(content);

describe('renderReport', () => {
  it('needs nothing from the network', () => {
    // Links, images, imports and style sheets would need one of these.
    expect(page).not.toMatch(/<link|<img|\ssrc=|@import|url\(/i);
    expect(page).not.toMatch(/fetch\(|XMLHttpRequest|import\(/);
    expect(page).toContain('uPlot');
  });

  it('escapes every text', () => {
    expect(page).toContain('<h1>Fashion-MNIST &lt;run&gt; &amp; &quot;more&quot;</h1>');
    expect(page).toContain('<td>&lt;b&gt;</td>');
    expect(page).not.toContain('<script>alert');
    // uPlot, the data, the page's own script: nothing else opens or ends a script element.
    expect(page.match(/<script/g)).toHaveLength(3);
    expect(page.match(/<\/script>/g)).toHaveLength(3);
  });

  it('shows the epochs and the tables', () => {
    expect(page).toContain('<th scope="col">epoch</th><th scope="col">loss</th><th scope="col">accuracy</th>');
    expect(page).toContain('<td class="number">1</td><td class="number">0.5</td><td class="number">0.812346</td>');
    expect(page).toContain('<td class="number">NaN</td>');
    expect(page).toContain('<tr><td>seed</td><td class="number">7</td></tr>');
  });

  it('draws a chart per curve in its place', () => {
    const scripts = [...page.matchAll(/<script>([\s\S]*?)<\/script>/g)].map((match) => match[1]!);
    const json = page.match(/<script type="application\/json" id="charts">([\s\S]*?)<\/script>/)![1]!;
    const drawn: { labels: string[]; axes: string[]; data: unknown; place: unknown }[] = [];
    const places = [{ clientWidth: 400 }, { clientWidth: 500 }];
    const listeners: string[] = [];
    runInNewContext(scripts[1]!, {
      document: { getElementById: () => ({ textContent: json }), querySelectorAll: () => places, documentElement: {} },
      getComputedStyle: () => ({ getPropertyValue: () => ' #123456' }),
      matchMedia: () => ({ addEventListener: (name: string) => listeners.push(name) }),
      addEventListener: (name: string) => listeners.push(name),
      uPlot: class {
        constructor(
          options: { series: { label: string }[]; axes: { label: string }[] },
          data: unknown,
          place: unknown,
        ) {
          drawn.push({
            labels: options.series.map((s) => s.label),
            axes: options.axes.map((a) => a.label),
            data,
            place,
          });
        }
      },
    });
    expect(JSON.parse(JSON.stringify(drawn))).toEqual([
      {
        labels: ['epoch', 'train', 'eval </script>'],
        axes: ['epoch', 'cross entropy'],
        data: [
          [1, 2],
          [0.7, 0.5],
          [null, null],
        ],
        place: places[0],
      },
      {
        labels: ['step', 'running'],
        axes: ['step', 'mean'],
        data: [
          [10, 20, 35],
          [1, 2, null],
        ],
        place: places[1],
      },
    ]);
    expect(listeners).toEqual(['change', 'resize']);
  });

  it('is a page without curves too', () => {
    expect(renderReport({ title: 'empty', epochs: [], curves: [] })).toContain('<h1>empty</h1>');
  });

  const curve = (fields: object) => () =>
    renderReport({ title: 't', epochs: [], curves: [{ title: 'c', yLabel: 'y', series: [], ...fields }] });
  it.each([
    [
      curve({
        series: [
          { name: 'a', values: [1, 2] },
          { name: 'b', values: [1] },
        ],
      }),
      'curve "c": expected 2 values in each series, got 1 in "b"',
    ],
    [curve({ x: [1, 2], series: [{ name: 'a', values: [1] }] }), 'expected 2 values'],
    [curve({ x: [1, 1], series: [{ name: 'a', values: [1, 2] }] }), 'ascending x values'],
    [curve({ x: [1, Number.NaN], series: [{ name: 'a', values: [1, 2] }] }), 'ascending x values'],
    [
      () =>
        renderReport({
          title: 't',
          epochs: [],
          curves: [],
          tables: [{ title: 'k', columns: ['a'], rows: [[1], [1, 2]] }],
        }),
      'table "k": expected 1 cells in each row, got 2 in row 1',
    ],
  ])('refuses what does not fit: %s', (render, text) => {
    expect(render).toThrow(ReportError);
    expect(render).toThrow(text);
  });
});
