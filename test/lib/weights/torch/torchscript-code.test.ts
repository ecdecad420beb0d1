import { describe, expect, it } from 'vitest';
import { checkCode, TorchScriptCodeError } from '../../../../lib/weights/torch/torchscript-code.ts';
import { allowedOperators } from '../../../../lib/weights/torch/torchscript-operators.ts';

/** A module with these statements in `forward`, and these members. */
const file = (statements: string, members = '') => `class M(Module):
  __parameters__ = ["weight", ]
  __buffers__ = []
  weight : Tensor
  stem : __torch__.torch.nn.modules.conv.Conv2d
  __annotations__["0"] = __torch__.Block
  eps : Final[float] = 1.0000000000000001e-05
${members}  def forward(self: __torch__.M,
    x: Tensor) -> Tensor:
${statements
  .split('\n')
  .map((line) => `    ${line}\n`)
  .join('')}    return x
`;
const check = (statements: string, members?: string) => checkCode(new Map([['__torch__', file(statements, members)]]));

describe('checkCode', () => {
  it.each([
    'x0 = torch.permute((self.stem).forward(x, ), [0, 2, 3, 1])',
    'B, C, H, W, = torch.size(x)',
    '_0 = __torch__.torch.nn.functional.layer_norm\nx1 = _0(x, [8], self.weight, None, 9.9999999999999995e-07, )',
    '_0 = getattr(self, "0")\nx1 = (_0).forward(x, )',
    'outs = annotate(List[Tensor], [])\n_1 = torch.append(outs, x)\ny = outs[-1]',
    'if torch.__isnot__(x, None):\n  y = unchecked_cast(Tensor, x)\nelse:\n  ops.prim.RaiseException("a \\"text\\": torch.save(x)", "builtins.ValueError")',
    'B = ops.prim.NumToTensor(torch.size(x, 0))\n_2 = int(B)',
    'x1 = torch.conv2d(x, CONSTANTS.c0, None, [16, 16])',
    'for i in range(torch.len(torch.size(x))):\n  y = torch.slice(x, 0, 0, 9223372036854775807)',
    'a = torch.scaled_dot_product_attention(x, x, x)',
    'y = torch.upsample_bicubic2d(x, [7, 7], False, None)',
    'return []\nfor i in []:\n  y = [[], x]',
    'z : Optional[bool] = True\nprint("hi")',
  ])('takes what torch writes: %s', async (statements) => {
    const { classes, members } = await check(statements);
    expect(classes).toEqual(new Set(['__torch__.M']));
    expect(members).toContain('weight');
    expect(members).toContain('forward');
    expect(members).toContain('0');
  });

  it.each([
    ['_0 = torch.save(x, "f")', 'the operator aten::save'],
    ['f = torch.save\n_0 = f(x, "f")', 'the operator aten::save'],
    ['_0 = ops.aten.save(x, "f")', 'the operator aten::save'],
    ['_0 = torch.autograd.save(x, "f")', 'the operator aten::autograd'],
    ['_0 = torch . save (x, "f")', 'the operator aten::save'],
    ['t = torch\n_0 = t.save(x, "f")', 'the operator aten::'],
    ['_0 = (torch).save(x, "f")', 'the operator aten::'],
    ['_0 = getattr(torch, "save")(x, "f")', '".save"'],
    ['_0 = getattr(torch, "add")(x, "f")', 'the operator aten::'],
    ['_0 = getattr(x, "set_")(x)', '".set_"'],
    ['_0 = getattr(x, "s\\x65t_")(x)', 'without the plain name'],
    ['_0 = getattr(x, y)(x)', 'without the plain name'],
    ['_0 = getattr(x, "__setstate__")(x)', '__setstate__'],
    ['g = getattr', 'without the plain name'],
    ['_0 = x.set_(x)', '".set_"'],
    ['_0 = torch.from_file("/etc/passwd")', 'aten::from_file'],
    ['_0 = torch._unsafe_index(x, [x])', 'aten::_unsafe_index'],
    ['_0 = torch.as_strided(x, [9], [9])', 'aten::as_strided'],
    ['_0 = torch.manual_seed(1)', 'aten::manual_seed'],
    ['_0 = ops.profiler._record_function_enter("a")', 'the operator profiler::_record_function_enter'],
    ['_0 = ops.prim.rpc_sync("a")', 'the operator prim::rpc_sync'],
    ['_0 = ops.mylib.run(x)', 'the operator mylib::run'],
    ['_0 = fork(self.stem, x)', '"fork"'],
    ['_0 = exec("a")', '"exec"'],
    ['_0 = __torch__.torch.classes.rnn.CellParamsBase', 'native class __torch__.torch.classes.rnn.CellParamsBase'],
    ['_0 = CONSTANTS.save', 'CONSTANTS'],
    ['import os', '"import"'],
    ['y = lambda', '"lambda"'],
    ['y = x.unheard_of', '".unheard_of"'],
    ['y = x.', 'dot without a name'],
    // LibTorch 2.13 reads the first element of the empty list of indices, and ends by a segmentation fault.
    ['x[] = torch.relu(x)', 'brackets without an index'],
    ['y = (self.stem)[]', 'brackets without an index'],
    ['y = [x][][0]', 'brackets without an index'],
    ['y : Tensor[] = x', 'brackets without an index'],
  ])('refuses %j', async (statements, message) => {
    await expect(check(statements)).rejects.toThrow(TorchScriptCodeError);
    await expect(check(statements)).rejects.toThrow(message);
  });

  it.each([
    ["y = 'torch.save'", "'torch.save'"],
    ['y = 1  # torch.save', '#'],
    ['y = """torch.save"""', 'glued'],
    ['y = r"torch"', 'glued'],
    ['y = 1.save(x)', 'glued'],
    ['y = x + x', '+'],
    ['y = x \\\n  .save()', '\\\\'],
    ['\ty = x', '\\t'],
    ['y = "a\nb"', '\\"a'],
    ['y = ünsafe', 'ünsafe'],
    ['y = (x', 'ends within brackets'],
    ['y = x)', 'nested too deeply'],
    [`y = ${'('.repeat(200)}x${')'.repeat(200)}`, 'nested too deeply'],
    [`y = x${'.weight'.repeat(2000)}`, 'nested too deeply'],
    [`y = ${'-'.repeat(2000)}1`, 'nested too deeply'],
    [`${' '.repeat(500)}y = x`, 'indented too deeply'],
  ])('refuses what torch does not write, lest its parser read it in another way: %j', async (statements, message) => {
    await expect(check(statements)).rejects.toThrow(message);
  });

  it.each(['__setstate__', '__getstate__', '__del__'])('refuses a class with %s', async (hook) => {
    await expect(
      check('y = x', `  def ${hook}(self: __torch__.M) -> Tensor:\n    return self.weight\n`),
    ).rejects.toThrow(hook);
  });

  it('takes methods and attributes that the archive declares, but not instead of an unsafe operator', async () => {
    const method = (name: string) => `  def ${name}(self: __torch__.M) -> Tensor:\n    return self.weight\n`;
    await expect(check('y = (self)._windows()', method('_windows'))).resolves.toBeDefined();
    await expect(check('y = (x).set_()', method('set_'))).rejects.toThrow('".set_"');
    await expect(check('y = (x)._unsafe_view()', method('_unsafe_view'))).rejects.toThrow('"._unsafe_view"');
    await expect(check('y = (x).conv2d_backward()', method('conv2d_backward'))).rejects.toThrow('_backward"');
  });

  it('refuses a class of an unknown kind', async () => {
    await expect(checkCode(new Map([['__torch__', 'class A(object):\n  pass\n']]))).rejects.toThrow(
      'class A of an unknown kind',
    );
  });
});

describe('allowedOperators', () => {
  it('has what models are made of, and nothing that leaves the model', () => {
    for (const name of ['aten::conv2d', 'aten::layer_norm', 'aten::gelu', 'prim::device'])
      expect(allowedOperators).toContain(name);
    const unsafe =
      /save|load|file|seed|_unsafe|as_strided|_backward|rpc|fork|wait|aten::set_|aten::.*(quantized|sparse)/;
    expect([...allowedOperators].filter((name) => unsafe.test(name))).toEqual([]);
  });
});
