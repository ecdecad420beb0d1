import { existsSync } from 'node:fs';
import { type Browser, chromium } from 'playwright-core';

const path = process.env.CHROMIUM || '/usr/bin/chromium';

export const hasChromium = existsSync(path);

/** Debian's Chromium without a window, with a profile of its own that is gone when it is closed, and a camera that shows a test card. */
export function launchChromium(): Promise<Browser> {
  const quiet = ['--disable-background-networking', '--disable-component-update', '--disable-sync'];
  const camera = '--use-fake-device-for-media-stream';
  return chromium.launch({
    executablePath: path,
    args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', camera, ...quiet],
  });
}
