/** All that a graph of ours is made of. */
export const operators: ReadonlySet<string> = new Set([
  ...['Add', 'And', 'Cast', 'Clip', 'Concat', 'Conv', 'Div', 'Equal', 'Erf', 'Exp', 'Gather', 'Gelu', 'Greater'],
  ...[
    'InstanceNormalization',
    'LayerNormalization',
    'LessOrEqual',
    'Log',
    'MatMul',
    'Min',
    'Mod',
    'Mul',
    'NonMaxSuppression',
    'ReduceMax',
    'ReduceSum',
  ],
  ...['Relu', 'Reshape', 'Resize', 'Shape', 'Sigmoid', 'Slice', 'Softmax', 'Sub', 'TopK', 'Transpose', 'Where'],
]);
