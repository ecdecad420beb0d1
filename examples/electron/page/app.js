// The page: plain web code. What it knows of the detector is `window.dinov3Detector`, which the preload script puts there; every call
// answers with { ok: true, value } or { ok: false, error: { name, message, code } }.
const detector = window.dinov3Detector;
const byId = (id) => document.getElementById(id);

/** Detections are asked for from the slider's least score on, and filtered here: the slider needs no new call. */
const LEAST_SCORE = Number(byId('threshold').min);
/** A canvas is no larger than this, whatever the image. */
const MOST_PIXELS = 2048;
const EXTENSIONS = /\.(jpe?g|png|webp)$/i;

/** @type {{ id: string, name: string, file: File, detections?: object[], width?: number, height?: number, error?: string }[]} */
let images = [];
let chosen;
let shown; // the chosen image, decoded
let isWorking = false;
let lastId = 0;

// --- images in ---

/** Files with the names to show: paths, for those out of folders. */
function addFiles(files) {
  const added = files.filter(({ name }) => EXTENSIONS.test(name));
  const skipped = files.length - added.length;
  const fresh = added.map((each) => ({ id: `image-${++lastId}`, ...each }));
  images.push(...fresh);
  if (skipped > 0) say(`${skipped} of ${files.length} files are no images`);
  if (fresh.length > 0 && chosen === undefined) choose(fresh[0]);
  showImages();
  work();
}

/** The files of what was dropped, folders looked into. */
async function filesOf(items) {
  const entries = [...items].map((item) => item.webkitGetAsEntry()).filter(Boolean);
  const files = [];
  while (entries.length > 0) {
    const entry = entries.shift();
    if (entry.isDirectory) entries.push(...(await readFolder(entry.createReader())));
    else {
      const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
      files.push({ file, name: entry.fullPath.slice(1) });
    }
  }
  return files;
}

/** A reader gives a folder in parts, and an empty one at the end. */
async function readFolder(reader) {
  const all = [];
  for (;;) {
    const part = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (part.length === 0) return all.sort((a, b) => a.name.localeCompare(b.name));
    all.push(...part);
  }
}

/** One image after the other; the chosen one first. */
async function work() {
  if (isWorking) return;
  isWorking = true;
  const isWaiting = (image) => image.detections === undefined && image.error === undefined;
  for (;;) {
    const image = [chosen, ...images].find((each) => each && isWaiting(each));
    if (image === undefined) break;
    const done = images.filter((each) => !isWaiting(each)).length;
    say(`Looking at ${image.name} (${done + 1} of ${images.length})`);
    await detect(image);
    showImages();
    if (image === chosen) await show();
  }
  isWorking = false;
  const failed = images.filter(({ error }) => error).length;
  const unread = failed > 0 ? `, ${failed} could not be read` : '';
  if (images.length > 0) say(`Done: ${images.length} image${images.length === 1 ? '' : 's'}${unread}`);
}

async function detect(image) {
  try {
    const bytes = new Uint8Array(await image.file.arrayBuffer());
    const reply = await detector.detect(bytes, { scoreThreshold: LEAST_SCORE }, image.id);
    if (!reply.ok) throw new Error(reply.error.message);
    const { width, height } = await decode(image.file);
    Object.assign(image, { width, height, detections: reply.value });
  } catch (error) {
    image.error = error.message.replace('the image buffer', image.name);
  }
}

/** Upright, as the detector sees it. */
function decode(file) {
  return createImageBitmap(file, { imageOrientation: 'from-image' });
}

// --- what is seen ---

function threshold() {
  return Number(byId('threshold').value);
}

function visible(image) {
  return (image.detections ?? []).filter(({ score }) => score > threshold());
}

function say(text) {
  byId('status').textContent = text;
}

async function choose(image) {
  chosen = image;
  showImages();
  await show();
}

function showImages() {
  const focused = document.activeElement?.dataset?.image;
  byId('images').replaceChildren(...images.map(imageItem));
  if (focused) document.querySelector(`[data-image="${focused}"]`)?.focus();
  byId('clear').disabled = images.length === 0;
  byId('save').disabled = !images.some(({ detections }) => detections);
}

function imageItem(image) {
  const item = document.createElement('li');
  const button = document.createElement('button');
  const [name, found] = [document.createElement('span'), document.createElement('span')];
  const count = visible(image).length;
  button.type = 'button';
  button.dataset.image = image.id;
  button.title = image.name;
  button.classList.toggle('failed', image.error !== undefined);
  if (image === chosen) button.setAttribute('aria-current', 'true');
  name.textContent = image.name;
  found.className = 'found';
  found.textContent = image.error ? 'error' : image.detections ? String(count) : '…';
  button.append(name, found);
  button.addEventListener('click', () => choose(image));
  item.append(button);
  return item;
}

/** The chosen image, decoded once. */
async function show() {
  const image = chosen;
  if (image?.detections && shown?.image !== image) {
    const bitmap = await decode(image.file);
    if (image !== chosen) return; // another one was chosen meanwhile
    shown?.bitmap.close();
    shown = { image, bitmap };
  }
  draw();
}

function draw() {
  const isReady = chosen !== undefined && shown?.image === chosen;
  byId('empty').hidden = chosen !== undefined;
  byId('canvas').hidden = !isReady;
  byId('error').hidden = chosen?.error === undefined;
  byId('error').textContent = chosen?.error ?? '';
  const found = isReady ? visible(chosen) : [];
  byId('count').textContent = describe(found);
  byId('detections').replaceChildren(...found.map(detectionRow));
  if (isReady) drawImage(byId('canvas'), shown, found);
}

function describe(found) {
  if (chosen === undefined) return 'No image yet';
  if (chosen.error) return 'This image could not be read';
  if (!chosen.detections) return 'Looking …';
  return `${found.length} object${found.length === 1 ? '' : 's'}`;
}

function detectionRow({ label, score, box }) {
  const row = document.createElement('tr');
  const size = `${Math.round(box.xmax - box.xmin)} × ${Math.round(box.ymax - box.ymin)}`;
  const cells = [label, score.toFixed(2), size].map((text) => {
    const cell = document.createElement('td');
    cell.textContent = text;
    return cell;
  });
  cells[0].prepend(swatch(label));
  row.append(...cells);
  return row;
}

/** A canvas, since a strict policy allows no colours in style attributes. */
function swatch(label) {
  const canvas = Object.assign(document.createElement('canvas'), { width: 12, height: 12 });
  canvas.setAttribute('aria-hidden', 'true');
  const context = canvas.getContext('2d');
  context.fillStyle = colourOf(label);
  context.fillRect(0, 0, 12, 12);
  return canvas;
}

/** Best detections last, on top; boxes first, so that none crosses a label. */
function drawImage(canvas, { image, bitmap }, found) {
  const scale = Math.min(1, MOST_PIXELS / Math.max(image.width, image.height));
  canvas.width = Math.round(image.width * scale);
  canvas.height = Math.round(image.height * scale);
  const objects = found.map(({ label, score }) => `${label} ${score.toFixed(2)}`).join(', ');
  canvas.setAttribute('aria-label', `${image.name}: ${describe(found)}${objects && `: ${objects}`}`);
  const context = canvas.getContext('2d');
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  const line = Math.max(2, Math.round(Math.sqrt(canvas.width * canvas.height) / 300));
  const boxes = found.toReversed().map(({ label, score, box }) => ({
    text: `${label} ${score.toFixed(2)}`,
    colour: colourOf(label),
    x: box.xmin * scale,
    y: box.ymin * scale,
    width: (box.xmax - box.xmin) * scale,
    height: (box.ymax - box.ymin) * scale,
  }));
  for (const { colour, x, y, width, height } of boxes) {
    context.strokeStyle = colour;
    context.lineWidth = line;
    // Inside of the box, so that it also shows on the image's own edge.
    context.strokeRect(x + line / 2, y + line / 2, Math.max(width - line, 0.1), Math.max(height - line, 0.1));
  }
  const size = Math.max(11, Math.sqrt(canvas.width * canvas.height) / 44);
  context.font = `600 ${size}px system-ui, sans-serif`;
  context.textBaseline = 'middle';
  for (const box of boxes) drawLabel(context, box, size);
}

/** Above the box, or inside its upper edge where there is no room. */
function drawLabel(context, { text, colour, x, y }, size) {
  const [width, height] = [context.measureText(text).width + size * 0.7, size * 1.45];
  const left = Math.max(0, Math.min(x, context.canvas.width - width));
  const top = y >= height ? y - height : y;
  context.fillStyle = colour;
  context.fillRect(left, top, width, height);
  context.fillStyle = '#000';
  context.fillText(text, left + size * 0.35, top + height / 2);
}

/** A bright colour from the name alone, the same in every image; black is legible on it. */
function colourOf(label) {
  let hash = 0x811c9dc5;
  for (const character of label) hash = Math.imul(hash ^ character.codePointAt(0), 0x01000193) >>> 0;
  return `hsl(${hash % 360} 90% 66%)`;
}

// --- results out ---

function saveJson() {
  const done = images.filter(({ detections }) => detections);
  const results = done.map((image) => ({
    file: image.name,
    width: image.width,
    height: image.height,
    detections: visible(image),
  }));
  const url = URL.createObjectURL(new Blob([`${JSON.stringify(results, null, 2)}\n`], { type: 'application/json' }));
  Object.assign(document.createElement('a'), { href: url, download: 'detections.json' }).click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
  say(`Saved the detections of ${done.length} image${done.length === 1 ? '' : 's'} above ${threshold()}`);
}

function clear() {
  for (const { id } of images) detector.abort(id);
  images = [];
  shown?.bitmap.close();
  shown = undefined;
  choose(undefined);
  say('Ready');
  byId('choose').focus();
}

// --- what the user does ---

const stage = byId('stage');
document.addEventListener('dragover', (event) => {
  event.preventDefault();
  stage.classList.add('over');
});
document.addEventListener('dragleave', (event) => {
  if (event.relatedTarget === null) stage.classList.remove('over');
});
document.addEventListener('drop', async (event) => {
  event.preventDefault();
  stage.classList.remove('over');
  try {
    addFiles(await filesOf(event.dataTransfer.items));
  } catch (error) {
    say(`What was dropped cannot be read: ${error.message}`);
  }
});
for (const [button, input] of [
  ['choose', 'files'],
  ['choose-folder', 'folder'],
]) {
  byId(button).addEventListener('click', () => byId(input).click());
  byId(input).addEventListener('change', ({ target }) => {
    addFiles([...target.files].map((file) => ({ file, name: file.webkitRelativePath || file.name })));
    target.value = '';
  });
}
byId('images').addEventListener('keydown', (event) => {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  const next = step && images[images.indexOf(chosen) + step];
  if (!next) return;
  event.preventDefault();
  choose(next);
  document.querySelector(`[data-image="${next.id}"]`).focus();
});
byId('threshold').addEventListener('input', () => {
  byId('threshold-value').textContent = threshold().toFixed(2);
  showImages();
  draw();
});
byId('save').addEventListener('click', saveJson);
byId('clear').addEventListener('click', clear);

describeModel();

async function describeModel() {
  const reply = await detector.describe();
  const { classes, imageSize, device } = reply.ok ? reply.value : {};
  byId('model').textContent = reply.ok
    ? `${classes.length} classes, ${imageSize.width} × ${imageSize.height}, ${device}`
    : reply.error.message;
}
