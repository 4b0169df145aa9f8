// The style and the browser script of the report page, as text to be inlined.
// The script only draws what report.ts has checked: one uPlot chart into each .chart, in order.

/** Colours follow the reader's light or dark setting. */
export const REPORT_STYLE = `
:root { color-scheme: light dark; --text: #1f2328; --soft: #59636e; --line: #d1d9e0; --ground: #ffffff; }
@media (prefers-color-scheme: dark) {
  :root { --text: #e6e9ee; --soft: #9aa4b0; --line: #3a424c; --ground: #14181d; }
}
body { margin: 2rem auto; max-width: 76rem; padding: 0 1rem; background: var(--ground); color: var(--text);
  font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.05rem; margin: 0 0 .25rem; } p { margin: 0 0 .5rem; color: var(--soft); }
main { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(30rem, 100%), 1fr)); gap: 2rem; }
section { min-width: 0; margin-bottom: 2rem; }
.chart { min-height: 18rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .2rem .8rem; border-bottom: 1px solid var(--line); text-align: left; white-space: nowrap; }
.number { text-align: right; }
.u-legend { color: var(--text); }
`;

/** Needs the global uPlot and the JSON in #charts. */
export const REPORT_SCRIPT = `
(() => {
  const charts = JSON.parse(document.getElementById('charts').textContent);
  const places = [...document.querySelectorAll('.chart')];
  // Told apart also with impaired colour vision (Okabe and Ito).
  const colours = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9'];
  const dark = matchMedia('(prefers-color-scheme: dark)');
  let drawn = [];
  const draw = () => {
    for (const plot of drawn) plot.destroy();
    const style = getComputedStyle(document.documentElement);
    const text = style.getPropertyValue('--text').trim();
    const line = style.getPropertyValue('--line').trim();
    const axis = (label) => ({ label, stroke: text, grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1 } });
    drawn = charts.map((chart, i) => new uPlot({
      width: places[i].clientWidth,
      height: 280,
      scales: { x: { time: false } },
      axes: [axis(chart.xLabel), { ...axis(chart.yLabel), size: 70 }],
      series: [
        { label: chart.xLabel },
        ...chart.names.map((label, k) => ({
          label,
          stroke: colours[k % colours.length],
          width: 2,
          dash: k < colours.length ? [] : [6, 4],
          points: { show: chart.data[0].length < 40 },
        })),
      ],
    }, chart.data, places[i]));
  };
  draw();
  dark.addEventListener('change', draw);
  addEventListener('resize', () => drawn.forEach((plot, i) => plot.setSize({ width: places[i].clientWidth, height: 280 })));
})();
`;
