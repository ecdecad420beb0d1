#include "addon/exports.h"
#include "addon/values.h"
#include "data/batch.h"
#include "data/pixel_values.h"
#include "data/resize.h"

namespace dinov3_det::test {

namespace {

using Napi::CallbackInfo;

Napi::Value resize_bilinear_js(const CallbackInfo& info) {
  const ImageSize from = image_size(info[1]), to = image_size(info[2]);
  auto resized = Napi::Uint8Array::New(info.Env(), to.width * to.height * 3);
  resize_bilinear(info[0].As<Napi::Uint8Array>().Data(), whole_axis(from.width, to.width),
                  whole_axis(from.height, to.height), info[3].ToBoolean(), resized.Data(), to.width * 3);
  return resized;
}

Napi::Value make_batch_js(const CallbackInfo& info) {
  const ImageSize size = image_size(info[0]);
  const auto compositions = list(info[1], [&](const Napi::Value& value) {
    const Napi::Object image = value.As<Napi::Object>();
    const auto data = image.Get("data").As<Napi::Uint8Array>();
    return whole_image({data.Data(), image_size(image), image.Get("flip").ToBoolean()}, size);
  });
  const Batch batch = make_batch(size, compositions, objects(info[2].As<Napi::Object>()));
  Napi::Object object = Napi::Object::New(info.Env());
  object.Set("pixels", from_tensor(info.Env(), batch.pixels));
  object.Set("boxes", from_tensor(info.Env(), batch.targets.boxes));
  object.Set("labels", from_tensor(info.Env(), batch.targets.labels));
  object.Set("counts", from_tensor(info.Env(), batch.targets.counts));
  object.Set("originals", to_list(info.Env(), batch.frames, [](Napi::Env env, const ImageFrame& frame) {
               Napi::Object original = Napi::Object::New(env);
               original.Set("width", static_cast<double>(frame.original.width));
               original.Set("height", static_cast<double>(frame.original.height));
               return original;
             }));
  return object;
}

// pixelValues(dtype, mean [1, 3, 1, 1], std, pixels [N, H, W, 3])
Napi::Value pixel_values_js(const CallbackInfo& info) {
  const PixelValues values(to_tensor(info[1]), to_tensor(info[2]), dtype(info[0]));
  return from_tensor(info.Env(), values.of(to_tensor(info[3])));
}

}  // namespace

void add_data(Exports& exports) {
  exports.add<resize_bilinear_js>("resizeBilinear");
  exports.add<make_batch_js>("makeBatch");
  exports.add<pixel_values_js>("pixelValues");
}

}  // namespace dinov3_det::test
