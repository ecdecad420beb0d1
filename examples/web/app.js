// Plain web code, without a build step. The model and the images are files that the user chooses; they stay in this page.
import { OnnxDetector } from './node_modules/dinov3-det/dist/inference/web.js';
import * as runtime from './node_modules/onnxruntime-web/dist/ort.bundle.min.mjs';

const byId = (id) => document.getElementById(id);
const [canvas, video] = [byId('canvas'), byId('video')];
/** Detections are asked for from the slider's least score on, and filtered here: the slider needs no new call. */
const LEAST_SCORE = Number(byId('threshold').min);

let detector;
let shown; // { picture, detections }: what the canvas shows
let stream; // of the camera, while it is on

async function loadModel(file) {
  say(`Loading ${file.name}`);
  const loaded = await OnnxDetector.load(file, { runtime });
  detector?.dispose();
  detector = loaded;
  for (const id of ['image', 'camera']) byId(id).disabled = false;
  say(`${file.name}: ${loaded.classes.join(', ')}`);
}

async function showImage(file) {
  if (!detector) throw new Error('Choose a model file first');
  stopCamera();
  const began = performance.now();
  const detections = await detector.detect(file, { scoreThreshold: LEAST_SCORE });
  const picture = await createImageBitmap(file, { imageOrientation: 'from-image' });
  show(picture, detections);
  say(`${file.name}: ${Math.round(performance.now() - began)} ms`);
}

// --- the camera ---

async function toggleCamera() {
  if (stream) return stopCamera();
  const own = await askForCamera();
  stream = own;
  try {
    video.srcObject = own;
    await video.play();
    byId('camera').textContent = 'Stop';
    await watch(own);
  } finally {
    if (stream === own) stopCamera();
  }
}

/** Once: a second click while the browser asks would leave a camera on. */
async function askForCamera() {
  byId('camera').disabled = true;
  try {
    return await navigator.mediaDevices.getUserMedia({ video: true });
  } finally {
    byId('camera').disabled = false;
  }
}

/** One picture after the other, for as long as the camera is on. */
async function watch(own) {
  while (stream === own) {
    const began = performance.now();
    const picture = await createImageBitmap(video);
    const detections = await detector.detect(picture, { scoreThreshold: LEAST_SCORE });
    if (stream !== own) return;
    show(picture, detections);
    say(`${(1000 / (performance.now() - began)).toFixed(1)} pictures a second`);
    await new Promise(requestAnimationFrame);
  }
}

function stopCamera() {
  for (const track of stream?.getTracks() ?? []) track.stop();
  stream = undefined;
  byId('camera').textContent = 'Camera';
}

// --- what is seen ---

function show(picture, detections) {
  shown?.picture.close();
  shown = { picture, detections };
  draw();
}

function draw() {
  const threshold = Number(byId('threshold').value);
  byId('threshold-value').textContent = threshold.toFixed(2);
  if (!shown) return;
  const { picture } = shown;
  const detections = shown.detections.filter(({ score }) => score > threshold);
  [canvas.width, canvas.height] = [picture.width, picture.height];
  canvas.hidden = false;
  byId('hint').hidden = true;
  canvas.setAttribute('aria-label', `Image with ${detections.length} objects`);
  const context = canvas.getContext('2d');
  context.drawImage(picture, 0, 0);
  for (const detection of [...detections].reverse()) drawDetection(context, detection);
  byId('detections').replaceChildren(...detections.map(listItem));
}

function drawDetection(context, { label, score, box }) {
  const size = Math.max(12, Math.sqrt(canvas.width * canvas.height) / 40);
  const hue = [...label].reduce((sum, letter) => sum * 31 + letter.codePointAt(0), 7) % 360;
  context.strokeStyle = context.fillStyle = `hsl(${hue} 90% 45%)`;
  context.lineWidth = Math.max(2, size / 8);
  context.strokeRect(box.xmin, box.ymin, box.xmax - box.xmin, box.ymax - box.ymin);
  const text = `${label} ${score.toFixed(2)}`;
  context.font = `${size}px system-ui, sans-serif`;
  const top = Math.max(0, box.ymin - size * 1.4);
  context.fillRect(box.xmin, top, context.measureText(text).width + size, size * 1.4);
  context.fillStyle = '#fff';
  context.fillText(text, box.xmin + size / 2, top + size);
}

function listItem({ label, score, box }) {
  const item = document.createElement('li');
  item.textContent = `${label} ${score.toFixed(2)}`;
  item.dataset.detection = JSON.stringify({ label, score, box });
  return item;
}

function say(text) {
  byId('status').textContent = text;
}

/** Every action ends in a state that can be read, whatever happens. */
function attempt(action) {
  return action().catch((error) => say(error.message));
}

byId('model').addEventListener('change', ({ target }) => target.files[0] && attempt(() => loadModel(target.files[0])));
byId('image').addEventListener('change', ({ target }) => target.files[0] && attempt(() => showImage(target.files[0])));
byId('camera').addEventListener('click', () => attempt(toggleCamera));
byId('threshold').addEventListener('input', draw);
addEventListener('dragover', (event) => event.preventDefault());
addEventListener('drop', (event) => {
  event.preventDefault();
  const [file] = event.dataTransfer.files;
  if (file) attempt(() => (file.name.endsWith('.onnx') ? loadModel(file) : showImage(file)));
});
document.documentElement.dataset.ready = '';
