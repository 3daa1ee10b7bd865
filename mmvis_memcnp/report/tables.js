// Tables, tiles and curves of the whole file.
function tile(name, value) {
  return make('div', {class: 'tile'}, make('b', {}, value), make('span', {}, name));
}

const number = (value, column) => value === null ? '–'
  : COUNTS.has(column) ? String(value) : value.toFixed(column === 'score' ? 2 : 1);
const COUNTS = new Set(['switches', 'objects', 'missed', 'false', 'tracks', 'frames']);

function drawTiles() {
  byId('about').textContent = DATA.about;
  const tiles = [];
  if (DATA.truth) {
    const {columns, rows} = DATA.tables[0];
    for (const name of ['AP', 'AP50', 'AP75', 'AR10', 'HOTA', 'IDF1', 'switches']) {
      tiles.push(tile(name, number(rows[0].values[columns.indexOf(name)], name)));
    }
    if (DATA.plots) tiles.push(tile('σ calibration error', DATA.plots.ece.toFixed(3)));
  } else {
    const rows = DATA.tables[0].rows;
    const sum = (i) => rows.reduce((a, r) => a + (r.values[i] || 0), 0);
    tiles.push(tile('videos', String(rows.length)), tile('frames', String(sum(2))),
      tile(`tracks ≥ ${DATA.threshold}`, String(sum(1))));
  }
  byId('tiles').replaceChildren(...tiles);
}

function drawTable(data) {
  const body = make('tbody');
  let sorted = null, up = false;
  const fill = () => {
    const rows = [...data.rows];
    if (sorted !== null) {
      const key = (r) => r.values[sorted] === null ? Infinity : (up ? 1 : -1) * r.values[sorted];
      rows.sort((a, b) => key(a) - key(b));
    }
    body.replaceChildren(...rows.map((row) => {
      const place = DATA.videos.findIndex((v) => v.id === row.video);
      const name = row.video !== null && place >= 0
        ? make('button', {click: () => { openVideo(place); byId('canvas').scrollIntoView({block: 'center'}); }}, row.name) : row.name;
      return make('tr', {}, make('td', {}, name), ...row.values.map((value, i) => {
        const column = data.columns[i];
        const share = COUNTS.has(column) || value === null ? 0 : Math.max(0, Math.min(column === 'score' ? 100 * value : value, 100));
        return make('td', {class: 'bar-cell', style: share ? `background-image:linear-gradient(var(--mark),var(--mark));background-size:${share}% 100%` : null}, number(value, column));
      }));
    }));
  };
  const heads = data.columns.map((column, i) => make('th', {scope: 'col', 'aria-sort': 'none'}, make('button', {
    title: 'sort', click: (event) => {
      up = sorted === i ? !up : true;
      sorted = i;
      for (const th of event.currentTarget.closest('tr').children) th.removeAttribute('aria-sort');
      event.currentTarget.parentElement.setAttribute('aria-sort', up ? 'ascending' : 'descending');
      fill();
    }}, column)));
  fill();
  return make('section', {class: 'panel'},
    make('div', {class: 'heading'}, make('h2', {}, data.title), make('p', {}, data.note)),
    make('div', {class: 'scroll', tabindex: 0}, make('table', {}, make('thead', {}, make('tr', {}, make('th', {}, ''), ...heads)), body)));
}

// A square plot with a dashed diagonal, on which honest numbers lie.
function plot(xs, ys, top, names, caption) {
  const size = 230, left = 58, low = 34;
  const at = (x, y) => [left + x / top * size, 8 + size - y / top * size];
  const svg = draws('svg', {width: left + size + 16, height: size + low + 12, role: 'img'});
  svg.append(draws('title', {}, caption));
  for (let i = 0; i <= 4; i++) {
    const value = top * i / 4, [x, y] = at(value, value);
    const text = top === 1 ? value.toFixed(2) : value.toFixed(top < 4 ? 1 : 0);
    svg.append(draws('line', {class: 'grid', x1: left, x2: left + size, y1: y, y2: y}),
      draws('line', {class: 'grid', x1: x, x2: x, y1: 8, y2: 8 + size}),
      draws('text', {x: left - 6, y: y + 4, 'text-anchor': 'end'}, text),
      draws('text', {x, y: size + 22, 'text-anchor': 'middle'}, text));
  }
  const [x0, y0] = at(0, 0), [x1, y1] = at(top, top);
  svg.append(draws('path', {class: 'ideal', d: `M${x0} ${y0} L${x1} ${y1}`}));
  const points = xs.map((x, i) => at(Math.min(x, top), Math.min(ys[i], top)));
  svg.append(draws('path', {class: 'curve', d: points.map((p, i) => `${i ? 'L' : 'M'}${p[0].toFixed(1)} ${p[1].toFixed(1)}`).join(' ')}));
  for (const [x, y] of points) svg.append(draws('circle', {class: 'dot', cx: x, cy: y, r: 3}));
  svg.append(draws('text', {x: left + size / 2, y: size + 38, 'text-anchor': 'middle'}, names[0]),
    draws('text', {x: 0, y: 0, 'text-anchor': 'middle', transform: `translate(11 ${8 + size / 2}) rotate(-90)`}, names[1]));
  return make('figure', {}, svg, make('figcaption', {}, caption));
}

function drawPlots() {
  const p = DATA.plots;
  if (!p) return;
  const top = Math.max(...p.predicted, ...p.observed) * 1.08;
  byId('plots').append(
    make('div', {class: 'heading'}, make('h2', {}, 'Uncertainty of the boxes'),
      make('p', {}, `${p.pairs} boxes on an object · calibration error ${p.ece} · error / σ ${p.z_std} (1 is honest) · mean σ ${p.sharpness} px`)),
    make('div', {class: 'plots'},
      plot(p.levels, p.coverage, 1, ['probability of the interval', 'share of errors inside'],
        'Above the dashed line σ is too large, below it too small. Intervals are those of a normal distribution.'),
      plot(p.predicted, p.observed, top, ['predicted σ in pixels', 'observed error (rms)'],
        'Sides binned by their σ, a dot a tenth of them.')));
}
