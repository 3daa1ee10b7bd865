// What the user does.
const hidden = new Set();  // kinds of cases that are not listed

function listedCases() {
  return DATA.cases.filter((c) => !hidden.has(c.kind) && DATA.videos.some((v) => v.id === c.video));
}

function drawCases() {
  const many = DATA.videos.length > 1;
  byId('cases').replaceChildren(...listedCases().map((c) => {
    const v = DATA.videos.find((x) => x.id === c.video);
    const button = make('button', {'aria-current': c === state.case ? 'true' : null, title: DATA.kinds[c.kind], click: () => openCase(c)},
      make('span', {}, c.text), make('em', {}, c.kind),
      make('small', {}, `${many ? `${v.name} · ` : ''}frame ${c.frame}`), DATA.truth ? make('small', {title: 'object frames that it concerns'}, `${c.cost.toFixed(c.cost < 10 ? 1 : 0)} fr.`) : '');
    return make('li', {}, button);
  }));
  if (!byId('cases').children.length) {
    byId('cases').append(make('li', {class: 'soft'}, DATA.cases.length ? 'All kinds are hidden.' : 'Nothing went wrong.'));
  }
}

function drawKinds() {
  const counts = new Map();
  for (const c of DATA.cases) counts.set(c.kind, (counts.get(c.kind) || 0) + 1);
  byId('kinds').replaceChildren(...[...counts].map(([kind, n]) => make('button', {
    title: DATA.kinds[kind], 'aria-pressed': !hidden.has(kind), click: () => {
      if (!hidden.delete(kind)) hidden.add(kind);
      drawKinds();
      drawCases();
    }}, `${kind} ${n}`)));
}

function drawVideos() {
  const data = DATA.tables[DATA.tables.length - 1];
  byId('videos').replaceChildren(...DATA.videos.map((v, i) => {
    const row = data.rows.find((r) => r.video === v.id);
    const get = (name) => number(row.values[data.columns.indexOf(name)], name);
    const detail = DATA.truth ? `AP ${get('AP')} · HOTA ${get('HOTA')} · ${get('switches')} switches`
      : `score ${get('score')} · ${get('tracks')} tracks`;
    return make('li', {}, make('button', {'aria-current': i === state.video ? 'true' : null, click: () => openVideo(i)},
      make('span', {}, v.name), make('small', {}, `${v.length} frames`), make('small', {}, detail)));
  }));
}

function openVideo(i, at = 0) {
  state.video = i;
  state.at = at;
  state.chosen = null;
  const v = video();
  byId('name').textContent = v.name;
  byId('scrub').max = v.at.length - 1;
  drawVideos();
  drawTimeline();
  drawConfusions();
  show(at);
}

function openCase(c) {
  const i = DATA.videos.findIndex((v) => v.id === c.video);
  stop();
  openVideo(i, nearest(DATA.videos[i].at, c.frame));
  state.case = c;
  if (c.objects.length) choose(`o${c.objects[0]}`, true);
  else if (c.tracks.length) choose(`t${c.tracks[0]}`, true);
  drawCases();
  show(state.at);
  byId('cases').querySelector('[aria-current]')?.scrollIntoView({block: 'nearest'});
}

// Let a track or an object stand out; a second time, let all be equal.
function choose(key, stay = false) {
  state.chosen = state.chosen === key && !stay ? null : key;
  drawTimeline();
  draw();
}

function show(at) {
  const v = video();
  state.at = Math.max(0, Math.min(at, v.at.length - 1));
  byId('scrub').value = state.at;
  byId('frame').textContent = `${frameNumber()} / ${v.length - 1}`;
  const here = state.case && state.case.video === v.id ? `${state.case.kind}: ${state.case.text}` : '';
  byId('caption').textContent = here;
  markTimeline();
  draw();
}

let timer = null;

function stop() {
  clearTimeout(timer);
  state.playing = false;
  byId('play').textContent = '▶ play';
}

function play() {
  if (state.playing) return stop();
  state.playing = true;
  byId('play').textContent = '■ stop';
  const step = () => {
    show((state.at + 1) % video().at.length);
    if (state.playing) timer = setTimeout(step, 1000 / Number(byId('speed').value));
  };
  step();
}

function drawOverlays() {
  const has = {
    ellipses: DATA.videos.some((v) => v.tracks.some((t) => t.std)),
    truth: DATA.videos.some((v) => v.objects.length)};
  const buttons = OVERLAYS.filter(([name]) => has[name] ?? true).map(([name, key]) => make('button', {
    'aria-pressed': state.on[name], title: `key ${key}`, click: () => toggle(name)},
  name, ' ', make('kbd', {}, key)));
  const slider = make('input', {type: 'range', min: 0, max: 1, step: .01, value: state.threshold, 'aria-label': 'lowest score'});
  const shown = make('output', {}, state.threshold.toFixed(2));
  slider.addEventListener('input', () => {
    state.threshold = Number(slider.value);
    shown.textContent = state.threshold.toFixed(2);
    drawTimeline();
    draw();
  });
  buttons.push(make('label', {}, 'score ≥', slider, shown));
  if (has.ellipses) {
    const size = make('select', {'aria-label': 'size of the ellipses'},
      ...[1, 2, 3].map((n) => make('option', {value: n}, `${n} σ`)));
    size.addEventListener('change', () => { state.sigmas = Number(size.value); draw(); });
    buttons.push(size);
  }
  byId('overlays').replaceChildren(...buttons);
}

function toggle(name) {
  state.on[name] = !state.on[name];
  const place = OVERLAYS.findIndex(([n]) => n === name);
  for (const button of byId('overlays').querySelectorAll('button')) {
    if (button.title === `key ${OVERLAYS[place][1]}`) button.setAttribute('aria-pressed', state.on[name]);
  }
  draw();
}

function stepCase(by) {
  const cases = listedCases();
  if (!cases.length) return;
  const place = cases.indexOf(state.case);
  openCase(cases[(place < 0 && by < 0 ? 0 : place + by + cases.length) % cases.length]);
}

const stepVideo = (by) => openVideo((state.video + by + DATA.videos.length) % DATA.videos.length);

const KEYS = {
  ' ': play, ArrowLeft: () => show(state.at - 1), ArrowRight: () => show(state.at + 1),
  Home: () => show(0), End: () => show(Infinity),
  j: () => stepCase(1), k: () => stepCase(-1), n: () => stepVideo(1), p: () => stepVideo(-1),
  Escape: () => { state.chosen = null; drawTimeline(); draw(); },
};

document.addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const tag = event.target.tagName, key = event.key;
  // What already uses the key: lists, sliders, and buttons for space.
  if (tag === 'SELECT' || (tag === 'INPUT' && !/^[a-z]$/.test(key)) || (tag === 'BUTTON' && key === ' ')) return;
  const overlay = OVERLAYS.find(([, letter]) => letter === key);
  const action = KEYS[key] || (overlay && (() => toggle(overlay[0])));
  if (!action || (['Home', 'End'].includes(key) && tag === 'BODY')) return;
  event.preventDefault();
  if (event.shiftKey && key.startsWith('Arrow')) show(state.at + (key === 'ArrowLeft' ? -10 : 10));
  else action();
});

byId('play').addEventListener('click', play);
byId('previous').addEventListener('click', () => show(state.at - 1));
byId('next').addEventListener('click', () => show(state.at + 1));
byId('scrub').addEventListener('input', (event) => show(Number(event.target.value)));
window.addEventListener('resize', draw);

drawTiles();
drawKinds();
drawCases();
drawOverlays();
drawPlots();
byId('tables').append(...DATA.tables.map(drawTable));
byId('notes').append(...DATA.notes.map((n) => make('li', {}, n)));
const HELP = [['space', 'play'], ['← →', 'frame'], ['shift ← →', 'ten frames'], ['j k', 'case'],
  ['n p', 'video'], ['m c b l u t', 'overlays'], ['Esc', 'all tracks alike']];
for (const [keys, what] of HELP) {
  for (const key of keys.split(' ')) byId('keys').append(make('kbd', {}, key), ' ');
  byId('keys').append(make('span', {class: 'what'}, what));
}
if (DATA.cases.length && listedCases().length) openCase(listedCases()[0]);
else openVideo(0);
document.documentElement.dataset.ready = 'yes';
