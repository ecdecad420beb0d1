import type { InstallProgress } from '../../libtorch/install/install.ts';
import { createProgress, type Progress } from './progress.ts';

const labels: Readonly<Record<InstallProgress['phase'], string>> = {
  download: 'Downloading LibTorch',
  unpack: 'Unpacking LibTorch',
  verify: 'Checking LibTorch',
};

/** Shows the phases of an install, one progress display after another. */
export function showInstallProgress(): { onProgress: (progress: InstallProgress) => void; stop: () => void } {
  let shown = '';
  let current: Progress | undefined;
  return {
    onProgress: ({ phase, doneBytes, totalBytes }) => {
      const next = `${phase} ${totalBytes}`;
      if (next !== shown) {
        current?.stop();
        current = createProgress({ total: totalBytes, unit: 'bytes', label: labels[phase] });
        shown = next;
      }
      current?.update(doneBytes);
    },
    stop: () => current?.stop(),
  };
}
