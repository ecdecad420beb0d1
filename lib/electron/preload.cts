import type { BridgeReply, BridgeRequest, DetectorBridge } from './bridge.ts' with { 'resolution-mode': 'import' };

/**
 * The preload script of a window. It gives the page `window.dinov3Detector`, four functions that ask the main process. A sandboxed window
 * needs CommonJS without any import except Electron's. `preloadPath` of `dinov3-det/electron` is its file.
 */
interface ElectronRenderer {
  contextBridge: { exposeInMainWorld(name: string, api: unknown): void };
  ipcRenderer: { invoke(channel: string, ...args: unknown[]): Promise<unknown> };
}

const { contextBridge, ipcRenderer } = require('electron') as ElectronRenderer;

/** Sends a request. The page never gets `ipcRenderer` itself, because it could then call anything. */
function ask<T>(request: BridgeRequest): Promise<BridgeReply<T>> {
  return ipcRenderer.invoke('dinov3-det', request) as Promise<BridgeReply<T>>;
}

const bridge: DetectorBridge = {
  describe: () => ask({ method: 'describe' }),
  detect: (images, options, callId) => ask({ method: 'detect', images, options, callId }),
  annotate: (images, detections, options, callId) => ask({ method: 'annotate', images, detections, options, callId }),
  abort: (callId) => ask({ method: 'abort', callId }),
};

contextBridge.exposeInMainWorld('dinov3Detector', bridge);
