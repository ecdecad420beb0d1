# node-gyp, node-gyp-build and @electron/rebuild come here to build from source; CMake does the work.
{
  "targets": [
    {
      "target_name": "cmake_build",
      "type": "none",
      "actions": [
        {
          "action_name": "cmake_js",
          "inputs": ["CMakeLists.txt"],
          "outputs": ["<(module_root_dir)/build/Release/dinov3_det.node"],
          "action": [
            "node",
            "--input-type=module",
            "--eval",
            "import { buildAddon } from './dist/libtorch/build.js'; await buildAddon({ onLine: console.log });",
          ],
        },
      ],
    },
  ],
}
