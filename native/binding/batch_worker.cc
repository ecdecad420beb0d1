#include "binding/batch_worker.h"

#include <memory>
#include <numeric>
#include <utility>

#include "binding/convert.h"
#include "binding/handle.h"
#include "binding/handles.h"
#include "binding/lane.h"

namespace dinov3_det {

namespace {

class BatchWorker : public Napi::AsyncWorker {
 public:
  BatchWorker(Napi::Env env, const Napi::Object& spec)
      : Napi::AsyncWorker(env),
        deferred_(env),
        size_(image_size(spec.Get("size").As<Napi::Object>())),
        objects_(batch_objects(spec)) {
    if (!spec.Get("images").IsArray()) throw Napi::TypeError::New(env, "Expected array for native images");
    const Napi::Array images = spec.Get("images").As<Napi::Array>();
    for (uint32_t i = 0; i < images.Length(); i++) add_image(images.Get(i).As<Napi::Object>());
    check_objects();
  }

  Napi::Promise promise() const { return deferred_.Promise(); }

  void Execute() override {
    try {
      batch_ = std::make_shared<BatchHandle>(BatchHandle{make_batch(size_, compositions_, objects_)});
    } catch (...) {
      error_ = std::current_exception();
    }
  }

  void OnOK() override {
    if (error_) {
      deferred_.Reject(to_js_error(Env(), error_).Value());
    } else {
      deferred_.Resolve(Handle<BatchHandle>::create(Env(), std::move(batch_)));
    }
  }

 private:
  void add_image(const Napi::Object& image) {
    if (image.Get("layers").IsUndefined()) {
      add_whole_image(image);
      return;
    }
    if (!image.Get("layers").IsArray()) throw Napi::TypeError::New(image.Env(), "Expected array for native layers");
    const Napi::Array layers = image.Get("layers").As<Napi::Array>();
    Composition composition{{size_}, fill_colour(image), {}};
    for (uint32_t i = 0; i < layers.Length(); i++) {
      const Napi::Object object = layers.Get(i).As<Napi::Object>();
      Layer layer = batch_layer(object, size_);
      layer.image = image_view(object);
      composition.layers.push_back(layer);
    }
    compositions_.push_back(std::move(composition));
  }

  void add_whole_image(const Napi::Object& image) {
    Composition& whole = compositions_.emplace_back(
        image.Get("area").IsUndefined() ? whole_image(image_view(image), size_)
                                        : whole_image(image_view(image), area_of(image), fill_colour(image)));
    const Napi::Value original = image.Get("original");
    if (original.IsObject()) whole.frame.original = image_size(original.As<Napi::Object>());
  }

  ImageSize area_of(const Napi::Object& image) const {
    const ImageSize area = image_size(image.Get("area").As<Napi::Object>());
    if (area.width > size_.width || area.height > size_.height) {
      throw Napi::RangeError::New(image.Env(), "Expected a native area inside of the batch's size");
    }
    return area;
  }

  // The core reads width * height * 3 bytes: the buffer must hold exactly these.
  ImageView image_view(const Napi::Object& image) {
    const ImageSize size = image_size(image);
    const Napi::Value data = image.Get("data");
    if (!data.IsTypedArray() ||
        static_cast<int64_t>(data.As<Napi::TypedArray>().ByteLength()) != size.width * size.height * 3) {
      throw Napi::RangeError::New(image.Env(), "Expected width * height * 3 bytes for native image data");
    }
    buffers_.push_back(Napi::Persistent(data.As<Napi::Object>()));
    return {data.As<Napi::Uint8Array>().Data(), size, image.Get("flip").ToBoolean()};
  }

  void check_objects() const {
    const int64_t total = std::accumulate(objects_.counts.begin(), objects_.counts.end(), int64_t{0});
    bool valid = objects_.counts.size() == compositions_.size() &&
                 static_cast<int64_t>(objects_.labels.size()) == total &&
                 objects_.boxes.size() == 4 * objects_.labels.size() && !compositions_.empty();
    for (int32_t count : objects_.counts) valid = valid && count >= 0;
    if (!valid)
      throw Napi::RangeError::New(Env(), "Expected as many counts, boxes and labels as the native batch's images hold");
  }

  Napi::Promise::Deferred deferred_;
  ImageSize size_;
  Objects objects_;
  std::vector<Composition> compositions_;
  std::vector<Napi::ObjectReference> buffers_;
  std::shared_ptr<BatchHandle> batch_;
  std::exception_ptr error_;
};

}  // namespace

Napi::Value start_batch_worker(Napi::Env env, const Napi::Object& spec) {
  auto worker = std::make_unique<BatchWorker>(env, spec);
  const Napi::Promise promise = worker->promise();
  worker.release()->Queue();  // deletes itself when done
  return promise;
}

}  // namespace dinov3_det
