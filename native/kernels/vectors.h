#pragma once

#include <cstdint>
#if defined(__AVX512BW__)
#include <immintrin.h>  // its functions are always inlined
#endif

// Vectors of DINOV3_DET_LANES floats for the kernels that are compiled once for each instruction set (CMakeLists.txt),
// in the vector extension of GCC and Clang. Those sources include no other header with inline functions: the linker
// keeps one copy of each, and a copy with AVX-512 in it would then run on every machine. The functions here have
// internal linkage for the same reason.
#if !defined(__GNUC__)
#error "These kernels are written in the vector extension of GCC and Clang"
#endif

#define DINOV3_DET_UNROLL _Pragma("GCC unroll 16")

namespace dinov3_det::DINOV3_DET_ISA {
namespace {

constexpr int kLanes = DINOV3_DET_LANES;

using Floats = float __attribute__((vector_size(sizeof(float) * kLanes), aligned(4)));
using Words = uint32_t __attribute__((vector_size(sizeof(float) * kLanes)));
using Halves = uint16_t __attribute__((vector_size(sizeof(uint16_t) * kLanes), aligned(2)));

inline Floats load(const float* values) { return *reinterpret_cast<const Floats*>(values); }

// Compilers make several instructions of what AVX-512 does in one. (Masked, since GCC 12 warns of the plain form.)
#if defined(__AVX512BW__)
inline Words widen(Halves halves) { return (Words)_mm512_maskz_cvtepu16_epi32(0xffff, (__m256i)halves); }
inline Halves narrow(Words words) { return (Halves)_mm512_maskz_cvtepi32_epi16(0xffff, (__m512i)words); }
#else
inline Words widen(Halves halves) { return __builtin_convertvector(halves, Words); }
inline Halves narrow(Words words) { return __builtin_convertvector(words, Halves); }
#endif

// The upper half of a float is its bfloat16.
inline Floats load(const uint16_t* values) { return (Floats)(widen(*reinterpret_cast<const Halves*>(values)) << 16); }

inline Floats splat(float value) { return Floats{} + value; }

inline void store(float* values, Floats vector) { *reinterpret_cast<Floats*>(values) = vector; }

// Rounds to the nearest, to even in between; what is not a number stays none.
inline void store(uint16_t* values, Floats vector) {
  const Words bits = (Words)vector;
  const Words rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
  const Words kept = vector == vector ? rounded : Words{} + 0x7fc0;
  *reinterpret_cast<Halves*>(values) = narrow(kept);
}

}  // namespace
}  // namespace dinov3_det::DINOV3_DET_ISA
