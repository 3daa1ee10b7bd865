// The frame with its overlays.
const DATA = JSON.parse(document.getElementById('data').textContent);
const byId = (id) => document.getElementById(id);

const OVERLAYS = [
  ['masks', 'm', true], ['contours', 'c', true], ['boxes', 'b', false],
  ['labels', 'l', true], ['ellipses', 'u', true], ['truth', 't', false]];

const state = {
  video: 0, at: 0, playing: false, threshold: DATA.threshold, sigmas: 1,
  on: Object.fromEntries(OVERLAYS.map(([name, , on]) => [name, on])),
  chosen: null,  // 't3' or 'o1': the track or object that stands out
  case: null,
};

// An element with attributes and children.
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === 'click') element.addEventListener('click', value);
    else if (value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.filter((c) => c !== null));
  return element;
}

const video = () => DATA.videos[state.video];
const frameNumber = () => video().at[state.at];
const trackName = (t) => `${t.place + 1} ${t.name}`;
const visible = (t) => t.score >= state.threshold || state.chosen === `t${t.place}`;
const dimmed = (key) => state.chosen !== null && state.chosen !== key && !related(key);

// Whether something belongs to what was chosen: an object to the tracks on it.
function related(key) {
  const chosen = state.chosen;
  if (!chosen || chosen[0] === key[0]) return false;
  const [object, track] = chosen[0] === 'o' ? [chosen, key] : [key, chosen];
  const found = video().objects.find((o) => `o${o.place}` === object);
  return Boolean(found) && found.found.includes(Number(track.slice(1)));
}

const pictures = new Map();

// The picture of a frame; draws again when it has been decoded.
function picture(v, at) {
  if (!v.pictures) return null;
  const key = `${v.id}/${at}`;
  let image = pictures.get(key);
  if (!image) {
    // Of a few hundred frames the browser keeps the decoded pictures.
    if (pictures.size > 400) pictures.clear();
    image = new Image();
    image.onload = draw;
    image.src = v.pictures[at];
    pictures.set(key, image);
  }
  return image.complete && image.naturalWidth ? image : null;
}

function outline(shape) {
  const path = new Path2D();
  for (const line of shape[0]) {
    // In half pixels, from the middle of one to the middle of the next.
    path.moveTo((line[0] + .5) / 2, (line[1] + .5) / 2);
    for (let i = 2; i < line.length; i += 2) path.lineTo((line[i] + .5) / 2, (line[i + 1] + .5) / 2);
    path.closePath();
  }
  return path;
}

function drawTrack(pen, v, shape, color, unit, truth) {
  const [, [x, y, w, h], std] = shape;
  const path = outline(shape);
  if (state.on.masks && !truth) {
    const alpha = pen.globalAlpha;
    pen.globalAlpha = .42 * alpha;
    pen.fillStyle = color;
    pen.fill(path, 'evenodd');
    pen.globalAlpha = alpha;
  }
  pen.lineJoin = 'round';
  if (state.on.contours || truth) {
    pen.setLineDash(truth ? [5 * unit, 4 * unit] : []);
    if (truth) {
      pen.strokeStyle = 'rgba(0,0,0,.75)';
      pen.lineWidth = 3.2 * unit;
      pen.stroke(path);
    }
    pen.strokeStyle = color;
    pen.lineWidth = 1.7 * unit;
    pen.stroke(path);
    pen.setLineDash([]);
  }
  if (state.on.boxes && !truth) {
    pen.strokeStyle = color;
    pen.lineWidth = 1.7 * unit;
    pen.strokeRect(x, y, w, h);
  }
  if (state.on.ellipses && std && pen.globalAlpha === 1) {
    for (const [cx, cy, a, b] of [[x, y, std[0], std[1]], [x + w, y + h, std[2], std[3]]]) {
      pen.beginPath();
      pen.ellipse(cx, cy, a * state.sigmas, b * state.sigmas, 0, 0, 2 * Math.PI);
      pen.strokeStyle = 'rgba(0,0,0,.7)';
      pen.lineWidth = 3.2 * unit;
      pen.stroke();
      pen.strokeStyle = color;
      pen.lineWidth = 1.5 * unit;
      pen.stroke();
    }
  }
}

function dark(color) {
  const [r, g, b] = [1, 3, 5].map((i) => parseInt(color.slice(i, i + 2), 16));
  return .299 * r + .587 * g + .114 * b < 140;
}

// A name above its box; moved down where another name is.
function drawLabel(pen, v, text, [x, y], color, unit, taken) {
  pen.font = `600 ${12 * unit}px system-ui, "DejaVu Sans", sans-serif`;
  const width = pen.measureText(text).width + 8 * unit, height = 17 * unit;
  const left = Math.max(0, Math.min(x, v.width - width));
  let top = Math.max(0, Math.min(y - height, v.height - height));
  for (let tries = 0; tries < 12; tries++) {
    const hit = taken.find((r) => left < r[0] + r[2] && r[0] < left + width
      && top < r[1] + height && r[1] < top + height);
    if (!hit) break;
    top = hit[1] + height + unit;
  }
  if (top > v.height - height) top = v.height - height;
  taken.push([left, top, width]);
  pen.fillStyle = color;
  pen.fillRect(left, top, width, height);
  pen.fillStyle = dark(color) ? '#fff' : '#000';
  pen.textBaseline = 'middle';
  pen.fillText(text, left + 4 * unit, top + height / 2 + .5 * unit);
}

function draw() {
  const canvas = byId('canvas'), pen = canvas.getContext('2d');
  const v = video(), t = frameNumber();
  // Sharp on any screen, but never of a size that makes drawing slow.
  canvas.style.maxWidth = `${Math.round(.62 * window.innerHeight * v.width / v.height)}px`;
  const shown = Math.min((canvas.clientWidth || 800) * (window.devicePixelRatio || 1), 1600);
  canvas.width = Math.round(shown);
  canvas.height = Math.round(shown * v.height / v.width);
  const scale = canvas.width / v.width;
  const unit = (window.devicePixelRatio || 1) / scale;
  const image = picture(v, state.at);
  if (image) pen.drawImage(image, 0, 0, canvas.width, canvas.height);
  pen.scale(scale, scale);
  const taken = [], labels = [];
  // The best last, so that it lies on top; its name is placed first.
  const tracks = v.tracks.filter((k) => visible(k) && k.shapes[t]).reverse();
  for (const k of tracks) {
    pen.globalAlpha = dimmed(`t${k.place}`) ? .4 : 1;
    drawTrack(pen, v, k.shapes[t], k.color, unit, false);
    labels.unshift([`${trackName(k)} ${k.score.toFixed(2)}`, k.shapes[t][1], k.color, pen.globalAlpha]);
  }
  for (const o of v.objects) {
    const alone = state.chosen === `o${o.place}`;
    if (!(state.on.truth || alone) || !o.shapes[t]) continue;
    pen.globalAlpha = dimmed(`o${o.place}`) ? .4 : 1;
    drawTrack(pen, v, o.shapes[t], '#ffffff', unit, true);
    const [x, y, w, h] = o.shapes[t][1];
    labels.push([`object ${o.place + 1} ${o.name}`, [x, y + h + 17 * unit], '#ffffff', pen.globalAlpha]);
  }
  if (state.on.labels) {
    for (const [text, box, color, alpha] of labels) {
      pen.globalAlpha = alpha;
      drawLabel(pen, v, text, box, color, unit, taken);
    }
  }
  pen.globalAlpha = 1;
  canvas.setAttribute('aria-label', `frame ${t}: ${tracks.map(trackName).join(', ') || 'no track'}`);
}

// The place of the shown frame that is nearest to a frame.
function nearest(at, t) {
  let best = 0;
  at.forEach((n, i) => { if (Math.abs(n - t) < Math.abs(at[best] - t)) best = i; });
  return best;
}
