// Greedy NMS of boxes xyxy given by falling score, for a torchvision whose own compiled operation does not load: the loop that that
// one runs on a CPU. keep[i] is set to 1 for the boxes that stay.
void nms(const float* boxes, long count, double iou_threshold, unsigned char* keep) {
  for (long i = 0; i < count; i++) keep[i] = 1;
  for (long i = 0; i < count; i++) {
    if (!keep[i]) continue;
    const float* a = boxes + 4 * i;
    const float area = (a[2] - a[0]) * (a[3] - a[1]);
    for (long j = i + 1; j < count; j++) {
      if (!keep[j]) continue;
      const float* b = boxes + 4 * j;
      const float left = a[0] > b[0] ? a[0] : b[0], right = a[2] < b[2] ? a[2] : b[2];
      const float top = a[1] > b[1] ? a[1] : b[1], bottom = a[3] < b[3] ? a[3] : b[3];
      const float width = right > left ? right - left : 0, height = bottom > top ? bottom - top : 0;
      const float inside = width * height;
      if (inside / (area + (b[2] - b[0]) * (b[3] - b[1]) - inside) > iou_threshold) keep[j] = 0;
    }
  }
}
