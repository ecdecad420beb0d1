#include <ATen/ATen.h>
#include <c10/util/Exception.h>

#if __has_include(<oneapi/dnnl/dnnl_common.hpp>)
#include <oneapi/dnnl/dnnl_common.hpp>
#endif

#include <new>
#include <set>
#include <string>
#include <vector>

#include "addon/exports.h"
#include "addon/values.h"
#include "base/error.h"
#include "memory/caching_allocator.h"
#include "memory/out_of_memory.h"

namespace dinov3_det::test {

namespace {

using Napi::CallbackInfo;

[[noreturn]] void throw_as(const std::string& library) {
  if (library == "C++") throw std::bad_alloc();
  if (library == "LibTorch") C10_THROW_ERROR(Error, "DefaultCPUAllocator: can't allocate memory: you tried to ...");
  if (library == "CUDA") C10_THROW_ERROR(OutOfMemoryError, "CUDA out of memory. Tried to allocate 2.00 GiB ...");
#ifdef ONEAPI_DNNL_DNNL_COMMON_HPP
  if (library == "oneDNN") throw dnnl::error(dnnl_out_of_memory, "could not create a primitive");
  if (library == "oneDNN, unimplemented") throw dnnl::error(dnnl_unimplemented, "could not create a primitive");
#endif
  throw Error("INVALID_OPTIONS", library);
}

// -> the number of attempts at work of which attempt i throws the error of failures[i], "" for none.
Napi::Value attempts_with_enough_memory_js(const CallbackInfo& info) {
  const std::vector<std::string> failures =
      list(info[0], [](const Napi::Value& name) { return name.ToString().Utf8Value(); });
  size_t attempts = 0;
  with_enough_memory("the work", [&] {
    const std::string& failure = failures.at(attempts++);
    if (!failure.empty()) throw_as(failure);
  });
  return Napi::Number::New(info.Env(), static_cast<double>(attempts));
}

// Makes and drops tensors of so many bytes, all of a list at the same time, list after list -> the use after each list
// was made and after it was dropped, and how many blocks of the list before served again.
Napi::Value cached_tensors_js(const CallbackInfo& info) {
  install_caching_allocator();
  std::set<const void*> before;
  return to_list(info.Env(),
                 list(info[0],
                      [&](const Napi::Value& sizes) {
                        std::vector<at::Tensor> tensors;
                        for (const int64_t bytes : numbers<int64_t>(sizes))
                          tensors.push_back(at::zeros({bytes}, at::kByte));
                        const MemoryUse made = memory_use();
                        std::set<const void*> blocks;
                        int64_t again = 0;
                        for (const at::Tensor& each : tensors) {
                          again += static_cast<int64_t>(before.count(each.const_data_ptr()));
                          blocks.insert(each.const_data_ptr());
                        }
                        before = blocks;
                        tensors.clear();
                        const MemoryUse dropped = memory_use();
                        return std::vector<int64_t>{made.live,    made.cached,    made.peak,
                                                    dropped.live, dropped.cached, again};
                      }),
                 [](Napi::Env env, const std::vector<int64_t>& row) { return to_list(env, row, from_number); });
}

Napi::Value release_cached_memory_js(const CallbackInfo& info) {
  release_cached_memory();
  return Napi::Number::New(info.Env(), static_cast<double>(memory_use().cached));
}

}  // namespace

void add_memory(Exports& exports) {
  exports.add<cached_tensors_js>("cachedTensors");
  exports.add<attempts_with_enough_memory_js>("attemptsWithEnoughMemory");
  exports.add<release_cached_memory_js>("releaseCachedMemory");
}

}  // namespace dinov3_det::test
