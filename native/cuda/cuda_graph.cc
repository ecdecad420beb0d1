// A library of its own, built where CUDA's headers are and loaded beside a CUDA LibTorch: nothing else needs CUDA to be
// built.
#include <cuda.h>  // before LibTorch's headers: the layout of CUDAGraph depends on CUDA_VERSION

#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAFunctions.h>
#include <torch/library.h>

#include <memory>

#include "train/device_graph.h"

static_assert(CUDA_VERSION >= 12040, "CUDAGraph has another layout in a LibTorch for this CUDA");

namespace dinov3_det {

namespace {

namespace allocator = c10::cuda::CUDACachingAllocator;

class CudaGraph : public DeviceGraph {
 public:
  void begin() override {
    allocator::emptyCache();  // the graph cannot use what was kept for steps that are not recorded
    device_ = c10::cuda::current_device();
    // Other threads, which make batches meanwhile, may do as they like.
    closing_if_failed([&] { graph_->capture_begin(pool_, cudaStreamCaptureModeThreadLocal); });
  }

  void end() override {
    closing_if_failed([&] { graph_->capture_end(); });
  }

  void replay() override { graph_->replay(); }

 private:
  // A capture that failed leaves its memory reserved, and the allocator with a pointer to the graph: the memory is
  // handed back, and the graph never deleted. Where the capture was closed before the failure its destructor does the
  // former.
  template <class Work>
  void closing_if_failed(const Work& work) {
    try {
      work();
    } catch (...) {
      try {
        allocator::endAllocateToPool(device_, pool_);
        allocator::releasePool(device_, pool_);
        static_cast<void>(graph_.release());
      } catch (const c10::Error&) {
      }
      throw;
    }
  }

  std::unique_ptr<at::cuda::CUDAGraph> graph_ = std::make_unique<at::cuda::CUDAGraph>();
  at::MempoolId_t pool_ = at::cuda::graph_pool_handle();
  c10::DeviceIndex device_ = 0;
};

}  // namespace

TORCH_LIBRARY_FRAGMENT(dinov3_det, library) {
  library.def("make_cuda_graph() -> int",
              [] { return reinterpret_cast<int64_t>(static_cast<DeviceGraph*>(new CudaGraph)); });
}

}  // namespace dinov3_det
