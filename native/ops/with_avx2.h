#pragma once

// Before a function: twice as many boxes at a time where the processor can; AVX2 alone, because fused multiply-adds
// would round differently.
#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__)
#define WITH_AVX2 __attribute__((target_clones("avx2", "default")))
#else
#define WITH_AVX2
#endif
