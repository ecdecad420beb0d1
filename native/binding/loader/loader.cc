// A tiny addon that loads the LibTorch libraries by absolute path before the main addon is loaded, which then
// finds them already in the process: any folder works, in worker threads too, without LD_LIBRARY_PATH or a
// run path.
#include <napi.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <system_error>
#include <vector>

#ifdef _WIN32
#include <windows.h>
#else
#include <dlfcn.h>
#endif
#ifdef __linux__
#include <link.h>
#endif

namespace {

namespace fs = std::filesystem;

std::string Utf8(const fs::path& path) {
  const std::u8string text = path.u8string();
  return {text.begin(), text.end()};
}

// Where the process has a library of this file name from, or an empty path. Another package, or another copy
// of this one, may have loaded its own LibTorch: two of them in one process corrupt each other.
fs::path LoadedFrom(const fs::path& file_name) {
#if defined(_WIN32)
  wchar_t path[32768];
  HMODULE module = GetModuleHandleW(file_name.c_str());
  return module != nullptr && GetModuleFileNameW(module, path, 32768) > 0 ? fs::path(path) : fs::path();
#elif defined(__linux__)
  void* handle = dlopen(file_name.c_str(), RTLD_LAZY | RTLD_NOLOAD);
  if (handle == nullptr) return {};
  link_map* map = nullptr;
  const fs::path path = dlinfo(handle, RTLD_DI_LINKMAP, &map) == 0 ? fs::path(map->l_name) : fs::path();
  dlclose(handle);
  return path;
#else
  static_cast<void>(file_name);
  return {};
#endif
}

// Returns what went wrong, or an empty string. Handles stay open: a LibTorch cannot be unloaded.
std::string Open(const fs::path& path) {
  const fs::path loaded = LoadedFrom(path.filename());
  std::error_code ignored;
  if (!loaded.empty() && !fs::equivalent(loaded, path, ignored)) {
    return "another " + Utf8(path.filename()) + " is already loaded in this process, from " + Utf8(loaded);
  }
#ifdef _WIN32
  if (LoadLibraryExW(path.c_str(), nullptr, LOAD_WITH_ALTERED_SEARCH_PATH) != nullptr) return {};
  return Utf8(path) + ": " + std::system_category().message(static_cast<int>(GetLastError()));
#else
  // RTLD_NOW: a library that does not fit is an error here, not the end of the process at its first call.
  if (dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL) != nullptr) return {};
  return dlerror();
#endif
}

// LibTorch's constructors take some 50 MB piece by piece. On any thread but the first glibc would ask the system for
// each 4 KB of them, 11,000 times; but what a heap has grown to once it keeps, and here it grows in 470 steps.
void ExtendHeap() {
#ifdef __GLIBC__
  constexpr size_t kPiece = 112 << 10;  // from 128 KB on a piece would be a mapping of its own
  std::array<void*, 470> pieces;
  for (void*& piece : pieces) piece = std::malloc(kPiece);
  for (void* piece : pieces) std::free(piece);
#endif
}

// On one of libuv's threads: the constructors of LibTorch take some tenths of a second.
class Opening : public Napi::AsyncWorker {
 public:
  Opening(Napi::Env env, const Napi::Array& paths) : Napi::AsyncWorker(env), deferred_(env) {
    for (uint32_t i = 0; i < paths.Length(); i++) {
      paths_.emplace_back(Napi::Value(paths[i]).As<Napi::String>().Utf16Value());
    }
  }

  Napi::Promise promise() const { return deferred_.Promise(); }

  void Execute() override {
    static std::mutex mutex;  // threads may come at once, and looking and loading are two steps
    const std::lock_guard<std::mutex> lock(mutex);
    static const bool extended = (ExtendHeap(), true);  // once: LibTorch stays loaded
    static_cast<void>(extended);
    for (const fs::path& path : paths_) {
      const std::string error = Open(path);
      if (!error.empty()) return SetError(error);
    }
  }

  void OnOK() override { deferred_.Resolve(Env().Undefined()); }
  void OnError(const Napi::Error& error) override { deferred_.Reject(error.Value()); }

 private:
  Napi::Promise::Deferred deferred_;
  std::vector<fs::path> paths_;
};

// open(paths: string[]): Promise<void>
Napi::Value OpenAll(const Napi::CallbackInfo& info) {
  auto opening = std::make_unique<Opening>(info.Env(), info[0].As<Napi::Array>());
  const Napi::Promise promise = opening->promise();
  opening.release()->Queue();  // deletes itself when done
  return promise;
}

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  exports.Set("open", Napi::Function::New(env, OpenAll, "open"));
  return exports;
}

}  // namespace

NODE_API_MODULE(libtorch_loader, Init)
