#include "memory/caching_allocator.h"

#include <c10/core/CPUAllocator.h>
#include <c10/core/impl/alloc_cpu.h>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <map>
#include <mutex>
#include <vector>

#include "memory/pages.h"

namespace dinov3_det {

namespace {

constexpr size_t kHeader = 64;          // before each block: its size. Keeps the alignment of LibTorch's own blocks
constexpr size_t kSmall = 64 * 1024;    // below this malloc is as good
constexpr size_t kLarge = 1024 * 1024;  // from here on the system is asked, not malloc
constexpr size_t kStepsPerDouble = 8;   // sizes are rounded up to one of so many between powers of two
constexpr size_t kSpare = 8;            // so much of the most that was in use may be held beyond it
constexpr size_t kLargestFit = 2;       // a block serves tensors down to this part of its size

size_t rounded(size_t bytes) {
  const size_t step = std::bit_floor(bytes) / kStepsPerDouble;
  return (bytes + step - 1) / step * step;
}

bool in_pages(size_t bytes) { return pages_available() && bytes >= kLarge; }

char* new_block(size_t bytes) {
  const size_t whole = kHeader + bytes;
  char* block = in_pages(bytes) ? map_pages(whole) : static_cast<char*>(c10::alloc_cpu(whole));
  *reinterpret_cast<size_t*>(block) = bytes;
  return block;
}

size_t size_of(const char* block) { return *reinterpret_cast<const size_t*>(block); }

void free_block(char* block) {
  const size_t bytes = size_of(block);
  if (in_pages(bytes)) {
    unmap_pages(block, kHeader + bytes);
  } else {
    c10::free_cpu(block);
  }
}

// Never destroyed: tensors in static variables outlive everything.
class CachingAllocator final : public c10::Allocator {
 public:
  c10::DataPtr allocate(size_t bytes) override {
    char* block = bytes < kSmall ? new_block(bytes) : take(rounded(bytes));
    char* data = block + kHeader;
    return {data, data, &give_back, c10::Device(c10::kCPU)};
  }

  c10::DeleterFnPtr raw_deleter() const override { return &give_back; }

  void copy_data(void* dest, const void* src, size_t count) const override { std::memcpy(dest, src, count); }

  void release() {
    const std::lock_guard lock(mutex_);
    shrink_cache(0);
  }

  MemoryUse use() {
    const std::lock_guard lock(mutex_);
    return {static_cast<int64_t>(live_), static_cast<int64_t>(cached_), static_cast<int64_t>(peak_)};
  }

  static CachingAllocator& instance() {
    static auto* allocator = new CachingAllocator;
    return *allocator;
  }

 private:
  static void give_back(void* data) {
    if (data == nullptr) return;
    char* block = static_cast<char*>(data) - kHeader;
    const size_t bytes = size_of(block);
    if (bytes < kSmall) {
      free_block(block);
    } else {
      instance().keep(block, bytes);
    }
  }

  char* take(size_t bytes) {
    {
      const std::lock_guard lock(mutex_);
      if (char* block = take_cached(bytes)) return block;
      const size_t most = std::max(peak_, live_ + bytes);
      shrink_cache(most + most / kSpare - live_ - bytes);
    }
    char* block = new_block_or_cached(bytes);
    const std::lock_guard lock(mutex_);
    add_live(bytes);
    return block;
  }

  // The smallest that is large enough, and not too large: maps halve from stage to stage of a network. Null where there
  // is none.
  char* take_cached(size_t bytes) {
    auto found = cache_.lower_bound(bytes);
    while (found != cache_.end() && found->second.empty()) ++found;
    if (found == cache_.end() || found->first > kLargestFit * bytes) return nullptr;
    char* block = found->second.back();
    found->second.pop_back();
    cached_ -= found->first;
    add_live(found->first);
    return block;
  }

  void add_live(size_t bytes) {
    live_ += bytes;
    peak_ = std::max(peak_, live_);
  }

  // Cached blocks are given up before memory is said to be short.
  char* new_block_or_cached(size_t bytes) {
    try {
      return new_block(bytes);
    } catch (const c10::Error&) {
      release();
      return new_block(bytes);
    }
  }

  void keep(char* block, size_t bytes) {
    const std::lock_guard lock(mutex_);
    live_ -= bytes;
    cached_ += bytes;
    cache_[bytes].push_back(block);
  }

  // Frees the largest cached blocks until at most `limit` bytes are cached.
  void shrink_cache(size_t limit) {
    for (auto entry = cache_.rbegin(); entry != cache_.rend() && cached_ > limit; ++entry) {
      while (!entry->second.empty() && cached_ > limit) {
        free_block(entry->second.back());
        entry->second.pop_back();
        cached_ -= entry->first;
      }
    }
  }

  std::mutex mutex_;
  std::map<size_t, std::vector<char*>> cache_;  // free blocks by size
  size_t cached_ = 0;                           // bytes in cache_
  size_t live_ = 0;                             // bytes that tensors hold
  size_t peak_ = 0;                             // the most that live_ has been
};

}  // namespace

void install_caching_allocator() {
  static const bool installed = [] {
    c10::SetCPUAllocator(&CachingAllocator::instance());
    return true;
  }();
  static_cast<void>(installed);
}

MemoryUse memory_use() { return CachingAllocator::instance().use(); }

void release_cached_memory() { CachingAllocator::instance().release(); }

}  // namespace dinov3_det
