// Tracks and objects over time.
const SVG = 'http://www.w3.org/2000/svg';
const LANE = 22;

function draws(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

function lane(v, extra = '') {
  const svg = draws('svg', {
    class: `lane ${extra}`, viewBox: `0 0 ${v.length} ${LANE}`, preserveAspectRatio: 'none'});
  svg.addEventListener('click', (event) => {
    const box = svg.getBoundingClientRect();
    show(nearest(v.at, Math.floor((event.clientX - box.left) / box.width * v.length)));
  });
  return svg;
}

function rowOf(key, color, name, detail, svg, title) {
  const chip = color === null ? null : make('span', {class: 'chip', style: `background:${color}`});
  const button = make('button', {title, 'aria-pressed': state.chosen === key, click: () => choose(key)},
    chip, make('span', {}, name), make('small', {}, detail));
  const row = make('div', {class: 'row', 'data-key': key}, button, svg);
  return row;
}

// Of an object: which track follows it. A change of colour is a switch.
function objectRow(v, o) {
  const svg = lane(v);
  const colors = new Map(v.tracks.map((t) => [t.place, t.color]));
  let lost = 0, seen = 0;
  for (const [start, end] of o.runs) {
    for (let a = start; a < end;) {
      let b = a + 1;
      while (b < end && o.found[b] === o.found[a]) b++;
      const found = o.found[a] >= 0;
      seen += b - a;
      if (!found) lost += b - a;
      const bar = draws('rect', found ? {x: a, y: 3, width: b - a, height: LANE - 6}
        : {x: a, y: LANE / 2 - 2, width: b - a, height: 4});
      if (found) bar.setAttribute('fill', colors.get(o.found[a]) || '#888');
      else bar.setAttribute('class', o.crowd ? 'crowd' : 'lost');
      bar.append(draws('title', {}, found ? `track ${o.found[a] + 1}, frames ${a} to ${b - 1}`
        : `no track, frames ${a} to ${b - 1}`));
      svg.append(bar);
      a = b;
    }
  }
  const wide = v.length / 110;
  for (const t of o.switches) {
    svg.append(draws('path', {class: 'switch', d: `M${t} ${LANE - 9} l${wide} 9 h${-2 * wide} z`}));
  }
  const detail = o.crowd ? 'crowd' : seen ? `${Math.round(100 * (1 - lost / seen))} %` : 'absent';
  return rowOf(`o${o.place}`, null, `object ${o.place + 1} ${o.name}`, detail, svg,
    'share of its frames in which a track follows it');
}

function trackRow(v, k, top) {
  const svg = lane(v);
  for (const [start, end] of k.runs) {
    svg.append(draws('rect', {
      x: start, y: 3, width: end - start, height: LANE - 6, fill: k.color,
      'fill-opacity': DATA.truth && !k.follows ? .35 : .85}));
  }
  if (k.std && top > 0) {
    let d = '', pen = false;
    k.std.forEach((s, t) => {
      if (s !== null) d += `${pen ? 'L' : 'M'}${t + .5} ${(LANE - 2 - (LANE - 4) * Math.min(s / top, 1)).toFixed(1)} `;
      pen = s !== null;
    });
    svg.append(draws('path', {class: 'spread', d}));
  }
  return rowOf(`t${k.place}`, k.color, trackName(k), k.score.toFixed(2), svg,
    k.std ? `score; mean σ ${mean(k.std).toFixed(1)} px` : 'score');
}

const mean = (values) => {
  const known = values.filter((s) => s !== null);
  return known.reduce((a, b) => a + b, 0) / Math.max(known.length, 1);
};

function axisRow(v) {
  const svg = lane(v, 'axis');
  svg.setAttribute('viewBox', '0 0 100 18');
  svg.setAttribute('preserveAspectRatio', 'none');
  const ticks = make('div', {style: 'position:relative;height:16px'});
  const step = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 5000].find((s) => v.length / s <= 12) || 10000;
  for (let t = 0; t < v.length; t += step) {
    ticks.append(make('span', {class: 'soft', style: `position:absolute;font-size:11px;left:${100 * t / v.length}%`}, String(t)));
  }
  return make('div', {class: 'row'}, make('span', {class: 'soft', style: 'padding-left:4px'}, 'frame'), ticks);
}

function drawTimeline() {
  const v = video(), box = byId('timeline');
  const tracks = v.tracks.filter(visible);
  const top = Math.max(0, ...tracks.flatMap((t) => t.std || []).filter((s) => s !== null));
  const rows = [axisRow(v)];
  if (v.objects.length) {
    rows.push(make('div', {class: 'row title'}, make('span', {}, 'annotated, coloured by the track that follows')));
    rows.push(...v.objects.map((o) => objectRow(v, o)));
  }
  rows.push(make('div', {class: 'row title'}, make('span', {},
    tracks.length < v.tracks.length ? `predicted (${tracks.length} of ${v.tracks.length} by the threshold)` : 'predicted')));
  rows.push(...tracks.map((t) => trackRow(v, t, top)));
  if (!tracks.length) rows.push(make('p', {class: 'soft'}, 'No track scores so much.'));
  box.replaceChildren(...rows);
  const legend = [];
  if (v.objects.length) legend.push('thin and red: no track follows · ▲ switch of identity');
  if (top > 0) legend.push(`line: mean σ of the box sides, 0 to ${top.toFixed(1)} px`);
  byId('legend').textContent = legend.join(' · ');
  markTimeline();
}

// The play head and the track that stands out.
function markTimeline() {
  const t = frameNumber();
  for (const svg of document.querySelectorAll('#timeline .lane')) {
    svg.querySelector('.head')?.remove();
    svg.append(draws('line', {class: 'head', x1: t + .5, x2: t + .5, y1: 0, y2: LANE}));
  }
  for (const row of document.querySelectorAll('#timeline .row[data-key]')) {
    const key = row.dataset.key;
    row.classList.toggle('dim', dimmed(key));
    row.querySelector('button').setAttribute('aria-pressed', state.chosen === key);
  }
}

// Frames that each track follows each object; one colour a row is best.
function drawConfusions() {
  const v = video(), box = byId('confusions');
  box.replaceChildren();
  const objects = v.objects.filter((o) => !o.crowd);
  const followers = v.tracks.filter((t) => objects.some((o) => o.found.includes(t.place)));
  if (!objects.length) return;
  const head = make('tr', {}, make('th', {}, 'object'),
    ...followers.map((t) => make('th', {}, make('span', {class: 'chip', style: `background:${t.color};display:inline-block`}), ` ${t.place + 1}`)),
    make('th', {}, 'no track'), make('th', {}, 'switches'));
  const body = objects.map((o) => {
    const frames = o.runs.flatMap(([a, b]) => o.found.slice(a, b));
    const cell = (n, color) => {
      const share = n / Math.max(frames.length, 1);
      return make('td', {style: n ? `background:color-mix(in srgb, ${color} ${Math.round(12 + 60 * share)}%, transparent)` : 'opacity:.3'}, n ? String(n) : '·');
    };
    return make('tr', {}, make('td', {}, make('button', {click: () => choose(`o${o.place}`)}, `${o.place + 1} ${o.name}`)),
      ...followers.map((t) => cell(frames.filter((f) => f === t.place).length, t.color)),
      cell(frames.filter((f) => f < 0).length, 'var(--bad)'),
      make('td', {}, ...(o.switches.length ? o.switches.flatMap((s) => [
        make('button', {title: `to frame ${s}`, click: () => { choose(`o${o.place}`, true); show(nearest(v.at, s)); }}, String(s)), ' ']) : ['·'])));
  });
  box.append(make('div', {class: 'heading'}, make('h2', {}, 'Who follows whom'),
    make('p', {}, 'frames in which a track follows an object; switches: the frames where it changes')),
  make('div', {class: 'scroll'}, make('table', {class: 'matrix'}, make('thead', {}, head), make('tbody', {}, ...body))));
}
