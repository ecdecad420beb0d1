// A window that finds objects in images. In this folder:
//   npm install
//   npm start -- ../../runs/pets/best      a checkpoint of `dinov3-det train`; default: the folder "checkpoint" here
//   npm start -- detector.onnx             a file of `dinov3-det export --format onnx`, without LibTorch (npm install onnxruntime-node)
//   npm run dist                           a packed app, with the folder "checkpoint" in it
//   npm run dist:onnx                      the same with the file "detector.onnx", without LibTorch
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { createDetectorHost, preloadPath, serveWindows } from 'dinov3-det/electron';
import { app, BrowserWindow, dialog, session } from 'electron';

const model = app.isPackaged ? packedModel() : resolve(process.argv[2] ?? join(import.meta.dirname, 'checkpoint'));

function packedModel() {
  const [file, checkpoint] = ['detector.onnx', 'checkpoint'].map((name) => join(process.resourcesPath, name));
  return existsSync(file) ? file : checkpoint;
}

/** A page is shown, and does nothing else: it opens no windows, goes nowhere and asks for no camera. */
app.on('web-contents-created', (_, contents) => {
  contents.setWindowOpenHandler(() => ({ action: 'deny' }));
  contents.on('will-navigate', (event) => event.preventDefault());
});
app.on('window-all-closed', () => app.quit());

await app.whenReady();
session.defaultSession.setPermissionRequestHandler((_, __, answer) => answer(false));

try {
  const host = await createDetectorHost({ backend: model.endsWith('.onnx') ? 'onnx' : 'libtorch' });
  // Pages get detections of images that they send; they can name no files.
  await serveWindows(await host.load(model));
  await openWindow();
  app.on('activate', () => BrowserWindow.getAllWindows().length === 0 && openWindow());
} catch (error) {
  dialog.showErrorBox('The detector cannot be started', error.message);
  app.exit(1);
}

async function openWindow() {
  const window = new BrowserWindow({
    width: 1180,
    height: 780,
    minWidth: 560,
    minHeight: 420,
    webPreferences: { preload: preloadPath, sandbox: true, contextIsolation: true, nodeIntegration: false },
  });
  window.removeMenu();
  await window.loadFile(join(import.meta.dirname, 'page', 'index.html'));
}
