import { convForwards, depthwiseConv, distance, residualMlp, residualMlpForward } from './blocks.ts';

/** Run with `DINOV3_DET_DISABLE` set, which is read once: prints how far the kernels are from float64, as JSON. */

const shapes = [
  { images: 1, channels: 16, height: 13, width: 7 },
  { images: 2, channels: 20, height: 5, width: 33 },
  { images: 2, channels: 24, height: 48, width: 48 },
];

const convs = [
  { kernel: 1, stride: 1, padding: 0 },
  { kernel: 2, stride: 2, padding: 0 },
  { kernel: 4, stride: 4, padding: 0 },
  { kernel: 3, stride: 1, padding: 1 },
  { kernel: 3, stride: 2, padding: 1 },
];

const worst = (values: number[]) => Math.max(...values);

const distances = (['float32', 'bfloat16'] as const).map((dtype) => {
  const gradients = [depthwiseConv, residualMlp].flatMap((block) =>
    shapes.flatMap((shape) => {
      const exact = block('float64', shape);
      return [...block(dtype, shape)].map(([name, tensor]) => distance(tensor, exact.get(name)!));
    }),
  );
  const forward = shapes.map((shape) =>
    distance(residualMlpForward(dtype, shape), residualMlpForward('float64', shape)),
  );
  const convolved = convs.flatMap((conv) => {
    const exact = convForwards('float64', conv);
    return convForwards(dtype, conv).map((tensor, i) => distance(tensor, exact[i]!));
  });
  return [dtype, worst([...gradients, ...forward, ...convolved])] as const;
});

console.log(JSON.stringify(Object.fromEntries(distances)));
