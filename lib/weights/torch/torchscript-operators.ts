/**
 * The operators that a TorchScript backbone may use: pure functions of tensors, numbers and lists, and their in-place forms on tensors.
 * Names are those of the `aten` namespace: `torch.add(x, y)` in the code of an archive is `aten::add`. Left out on purpose:
 *
 * - files (`save`, `from_file`) and global state (`manual_seed`, `set_grad_enabled`)
 * - threads, remote calls, and autograd inside the model
 * - sparse and quantized kernels
 * - everything without bounds checks (`_unsafe_*`, `set_`, `resize_*`, `as_strided`, the `*_backward` kernels)
 */
const ATEN = `
add add_ sub sub_ rsub mul mul_ div div_ true_divide floor_divide floor_divide_ floordiv remainder remainder_ fmod mathremainder
neg neg_ negative abs abs_ absolute sign sgn pow pow_ sqrt sqrt_ rsqrt rsqrt_ square square_ exp exp_ exp2 expm1 log log_ log1p log2
log10 sin sin_ cos cos_ tan asin acos atan atan2 sinh cosh tanh tanh_ erf erf_ erfc erfinv erfinv_ sigmoid sigmoid_ logit ceil ceil_
floor floor_ round round_ trunc trunc_ frac reciprocal reciprocal_ lerp lerp_ addcmul addcmul_ addcdiv addcdiv_ hypot
clamp clamp_ clamp_min clamp_min_ clamp_max clamp_max_ clip clip_ nan_to_num nan_to_num_ maximum minimum fmax fmin
subtract multiply divide positive copysign logaddexp gcd fabs factorial degrees radians
eq eq_ ne ne_ lt lt_ le le_ gt gt_ ge ge_ equal isclose allclose isnan isinf isfinite not_equal less less_equal greater greater_equal
logical_and logical_or logical_not logical_xor bitwise_and bitwise_or bitwise_xor bitwise_not bitwise_left_shift bitwise_right_shift
__and__ __or__ __xor__ __lshift__ __rshift__ __not__ __is__ __isnot__ __contains__ __getitem__ _set_item __derive_index __range_length
__round_to_zero_floordiv __interpolate __upsample
sum mean std var std_mean var_mean amax amin aminmax max min argmax argmin prod cumsum cumprod logsumexp norm all any median topk sort
argsort count_nonzero linalg_norm linalg_vector_norm frobenius_norm cosine_similarity
matmul mm bmm addmm baddbmm addbmm mv addmv dot vdot einsum linear bilinear outer tensordot kron cdist inner linalg_matmul chain_matmul
conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d convolution _convolution _convolution_mode
batch_norm instance_norm group_norm layer_norm rms_norm native_layer_norm native_group_norm native_batch_norm _weight_norm norm_except_dim
local_response_norm embedding one_hot pixel_shuffle pixel_unshuffle channel_shuffle
relu relu_ relu6 relu6_ leaky_relu leaky_relu_ elu elu_ selu selu_ celu celu_ gelu gelu_ silu silu_ mish mish_ hardtanh hardtanh_
hardswish hardswish_ hardsigmoid hardsigmoid_ hardshrink softshrink softplus prelu rrelu glu log_sigmoid threshold threshold_
softmax log_softmax _softmax _log_softmax _safe_softmax
scaled_dot_product_attention _scaled_dot_product_attention_math _native_multi_head_attention
dropout dropout_ feature_dropout feature_dropout_ alpha_dropout alpha_dropout_ feature_alpha_dropout feature_alpha_dropout_ native_dropout
max_pool1d max_pool2d max_pool3d max_pool2d_with_indices avg_pool1d avg_pool2d avg_pool3d
adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d
upsample_nearest1d upsample_nearest2d upsample_nearest3d upsample_linear1d upsample_bilinear2d upsample_trilinear3d upsample_bicubic2d
_upsample_nearest_exact1d _upsample_nearest_exact2d _upsample_nearest_exact3d
_upsample_bilinear2d_aa _upsample_bicubic2d_aa _upsample_lanczos2d_aa
grid_sampler grid_sampler_2d grid_sampler_3d affine_grid_generator im2col col2im
pad constant_pad_nd reflection_pad1d reflection_pad2d reflection_pad3d replication_pad1d replication_pad2d replication_pad3d _pad_circular _pad_enum
reshape reshape_as view view_as flatten unflatten ravel squeeze squeeze_ unsqueeze unsqueeze_ permute transpose transpose_ swapaxes swapdims
movedim moveaxis t t_ numpy_T mT mH adjoint expand expand_as broadcast_to broadcast_tensors repeat repeat_interleave tile roll flip rot90
contiguous clone detach detach_ alias copy copy_ fill fill_ fill_diagonal_ zero zero_ to type_as cpu cuda data lift_fresh
cat concat concatenate stack hstack vstack dstack column_stack split split_with_sizes tensor_split hsplit vsplit chunk unbind unfold unsafe_chunk
unsafe_split unsafe_split_with_sizes block_diag
select narrow slice index index_put index_put_ index_select index_add index_add_ index_copy index_copy_ index_fill index_fill_ gather scatter
scatter_ scatter_add scatter_add_ scatter_reduce scatter_reduce_ take take_along_dim where masked_fill masked_fill_ masked_select
masked_scatter masked_scatter_ nonzero nonzero_numpy select_scatter slice_scatter diagonal diag diag_embed tril tril_ triu triu_ tril_indices
triu_indices meshgrid cartesian_prod bucketize searchsorted unique_consecutive _unique2 bincount
zeros zeros_like ones ones_like full full_like empty empty_like new_zeros new_ones new_full new_empty arange linspace logspace eye tensor
as_tensor scalar_tensor complex polar real imag view_as_complex view_as_real
rand rand_like randn randn_like randint randperm bernoulli bernoulli_ uniform uniform_ normal normal_ multinomial
fft_fft fft_ifft fft_fft2 fft_ifft2 fft_fftn fft_ifftn fft_rfft fft_irfft fft_rfft2 fft_irfft2 fft_rfftn fft_irfftn fft_fftshift fft_ifftshift
dim size sym_size numel sym_numel stride storage_offset is_contiguous is_floating_point is_complex is_signed is_nonzero is_same_size
is_grad_enabled requires_grad_ result_type promote_types can_cast device element_size _shape_as_tensor is_scripting
is_autocast_enabled is_autocast_cpu_enabled get_autocast_dtype has_torch_function
Int Float Bool Complex IntImplicit FloatImplicit ComplexImplicit ScalarImplicit item len list dict append extend insert pop reverse clear remove
count keys values items get setdefault update Delete range str ord chr hex oct bin format percentFormat join startswith endswith strip lstrip
rstrip lower upper replace find isdigit isalpha isalnum splitlines sorted divmod hash warn _unwrap_optional _infer_size _list_to_tensor _tensor_to_list
_assert_tensor_metadata
`;

/** The allowed operators of the `prim` namespace: `ops.prim.device(x)` in the code of an archive is `prim::device`. */
const PRIM = `
NumToTensor RaiseException device dtype layout type max min abs data requires_grad itemsize nbytes index rangelist TupleIndex TupleUnpack
is_cpu is_cuda is_ipu is_maia is_meta is_mkldnn is_mps is_mtia is_nested is_quantized is_sparse is_sparse_csr is_vulkan is_xla is_xpu
unchecked_cast unchecked_unwrap_optional Uninitialized tolist
`;

/** The nodes that language forms become in a graph, without a name in the code: `if`, `for`, calls, attributes, constants, literals. */
const LANGUAGE = `
Constant GetAttr SetAttr CallMethod CallFunction If Loop Print isinstance ListConstruct ListUnpack TupleConstruct TupleSlice DictConstruct
StringIndex ModuleContainerIndex
`;

/** The operators that code may name, for example `aten::add`. */
export const allowedOperators: ReadonlySet<string> = new Set([
  ...words(ATEN).map((name) => `aten::${name}`),
  ...words(PRIM).map((name) => `prim::${name}`),
]);

/** The nodes that graphs may have after LibTorch has compiled a program: the operators, and the forms of the language. */
export const allowedNodes: ReadonlySet<string> = new Set([
  ...allowedOperators,
  ...words(LANGUAGE).map((name) => `prim::${name}`),
]);

function words(text: string): string[] {
  return text.trim().split(/\s+/);
}
