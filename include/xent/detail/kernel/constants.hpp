// SPDX-License-Identifier: MIT
// xent/detail/kernel/constants.hpp - the numbers behind the kernels' exp in float and double.
#pragma once

#include <cstddef>  // std::ptrdiff_t
#include <cstdint>
#include <limits>

namespace xent::detail {

/// exp(x) = 2^n (1 + r + r^2 q(r)), n = round(x log2(e)), r = x - n ln 2. The polynomial q, of least relative error on
/// |r| <= ln(2) / 2 (Remez), comes highest power first; ln 2 in two parts, of which the first times any n is exact.
template <class T>
struct ExpConstants;

template <>
struct ExpConstants<float> {
  static constexpr float infinity = std::numeric_limits<float>::infinity();
  static constexpr float log2_e = 1.44269504088896341f;
  static constexpr float ln2_high = 0.693359375f;
  static constexpr float ln2_low = -2.12194440054690583e-4f;
  // From this size of the maximum on, differences from it are exact wherever exp does not vanish.
  static constexpr float reach = 256.0f;
  // Exponentials are kept in units smaller by two to this power: what vanishes alone can still count in a sum, or once it
  // has got its factor.
  static constexpr int lift = 100;
  static constexpr double unlift = 0x1p-100;
  // exp of minus this is near the smallest normal number in these units: no more than 0 in the end.
  static constexpr float range = 155.0f;
  // Adding it leaves an integer in the low bits (2^23 + 2^22), or the biased exponent there (2^23 + 127).
  static constexpr float to_integer = 12582912.0f;
  static constexpr float to_exponent = 8388735.0f;
  static constexpr int mantissa_bits = 23;
  // Registers that are added before the total takes over: three roundings, in a total of twice the digits.
  static constexpr int tree = 8;
  static constexpr int terms = 5;  // relative error 3.1e-9
  static constexpr float polynomial[terms] = {1.3814597237103992e-3f, 8.3687169163502087e-3f, 4.1668388078663324e-2f,
                                              1.6666520631310970e-1f, 4.9999993447604067e-1f};
  static constexpr float fading = 87.33654f;  // exp of minus this is the smallest normal number
  // log(1 + x) = x + x^2 q(x) on [0, 1], relative error 5.1e-9; the x^3 of q one place lower, for as floats all of them
  // together are a fifth of an ulp too high near 1.
  static constexpr float log1p[9] = {-3.3184814195362503e-3f, 2.0204622286683671e-2f,  -5.7664508988296580e-2f,
                                     1.0680561473769341e-1f,  -1.5355399431461854e-1f, 1.9695400e-1f,
                                     -2.4958587569991112e-1f, 3.3330511330585766e-1f,  -4.9999932763766380e-1f};
};

/// The same with n in steps of 1 / size, so that |r| <= ln(2) / (2 size): 2^n = 2^floor(n) 2^(j / size), the second factor
/// from a table that fills a register, or two. `powers` are its bits, less what j adds to them when it is shifted into place
/// with floor(n); `lost` is what their rounding lost, as a part of them. For differences of two such r there are other
/// polynomials.
template <class T, int size>
struct ExpTable;

template <>
struct ExpTable<float, 16> {
  static constexpr float to_steps = 786432.0f;  // leaves n times the size in the low bits: 2^19 + 2^18
  static constexpr int step_bits = 19;
  static constexpr float polynomial[2] = {0.166669905f, 0.500016212f};                     // relative error 1.6e-9
  static constexpr float of_differences[2] = {0.166676f, 0.5000648f};                      // 2.6e-8
  static constexpr float careful_of_differences[3] = {0.0416604323f, 0.166680259f, 0.5f};  // 1.9e-10
  alignas(64) static constexpr std::uint32_t powers[16] = {
      0x3f800000, 0x3f7daac3, 0x3f7b95c2, 0x3f79c3d3, 0x3f7837f0, 0x3f76f532, 0x3f75fed7, 0x3f75583f,
      0x3f7504f3, 0x3f7508a4, 0x3f75672a, 0x3f76248c, 0x3f7744fd, 0x3f78ccdf, 0x3f7ac0c7, 0x3f7d257d};
  alignas(64) static constexpr float lost[16] = {
      0.0f,           4.62854715e-8f,  -1.19921575e-8f, 4.72978243e-8f,  3.19341815e-8f,
      3.62105723e-8f, -3.09907193e-8f, -7.47521334e-9f, 1.71142709e-8f,  -3.04768335e-8f,
      5.23333421e-9f, 6.10759177e-9f,  -1.47196051e-8f, -5.25879518e-9f, -6.12825968e-9f,
      5.14060927e-9f};
};

template <>
struct ExpTable<float, 8> {
  static constexpr float to_steps = 1572864.0f;  // 2^20 + 2^19
  static constexpr int step_bits = 20;
  static constexpr float polynomial[3] = {0.041668825f, 0.166679621f, 0.5f};               // relative error 2.3e-10
  static constexpr float of_differences[3] = {0.0416417599f, 0.166721031f, 0.500000204f};  // 5.5e-9
  static constexpr float careful_of_differences[4] = {0.00833228916f, 0.0416810620f, 0.166666683f, 0.5f};  // 2.5e-10
  // Twice, for a register of 64 bytes.
  alignas(64) static constexpr std::uint32_t powers[16] = {
      0x3f800000, 0x3f7b95c2, 0x3f7837f0, 0x3f75fed7, 0x3f7504f3, 0x3f75672a, 0x3f7744fd, 0x3f7ac0c7,
      0x3f800000, 0x3f7b95c2, 0x3f7837f0, 0x3f75fed7, 0x3f7504f3, 0x3f75672a, 0x3f7744fd, 0x3f7ac0c7};
  alignas(64) static constexpr float lost[8] = {0.0f,           -1.19921575e-8f, 3.19341815e-8f,  -3.09907193e-8f,
                                                1.71142709e-8f, 5.23333421e-9f,  -1.47196051e-8f, -6.12825968e-9f};
};

template <>
struct ExpConstants<double> {
  static constexpr double infinity = std::numeric_limits<double>::infinity();
  static constexpr double log2_e = 1.44269504088896340736;
  static constexpr double ln2_high = 6.93147180369123816490e-1;
  static constexpr double ln2_low = 1.90821492927058770002e-10;
  static constexpr double reach = 2048.0;
  static constexpr int lift = 800;
  static constexpr double unlift = 0x1p-800;
  static constexpr double range = 1262.0;
  static constexpr double to_integer = 6755399441055744.0;
  static constexpr double to_exponent = 4503599627371519.0;
  static constexpr int mantissa_bits = 52;
  static constexpr int tree = 2;    // what its rounding loses stays lost
  static constexpr int terms = 10;  // relative error 7.8e-18
  static constexpr double polynomial[terms] = {
      2.5110049895858716253e-8, 2.7632655759332030799e-7, 2.7557242336680357124e-6, 2.4801487326012336596e-5,
      1.9841269886590999340e-4, 1.3888888947820891418e-3, 8.3333333333222072959e-3, 4.1666666666521990740e-2,
      1.6666666666666674530e-1, 5.0000000000000102245e-1};
  static constexpr double fading = 708.39641853226410622;
  // 2 atanh(s) = 2 s + s^3 q(s^2) for |s| <= 1 / 3, error 7e-18 of it.
  static constexpr double atanh_rest[10] = {
      1.6164045611943532221e-1, 8.8007384861446738822e-2, 1.2001072809590712535e-1, 1.3314144209654936150e-1,
      1.5385570064958623103e-1, 1.8181789436132858169e-1, 2.2222222717427862989e-1, 2.8571428567108757162e-1,
      4.0000000000014582673e-1, 6.6666666666666658561e-1};
  // Where the result will be a float: exp, relative error 5.2e-11, and 2 atanh(f) / f in f^2 for |f| < 0.1716, 4.2e-12.
  static constexpr double short_polynomial[6] = {1.9790352254298479014e-4, 1.3944648650015926983e-3,
                                                 8.3334970084569585828e-3, 4.1666295092777000359e-2,
                                                 1.6666665869417415142e-1, 5.0000000676427601451e-1};
  static constexpr double atanh[5] = {2.3617586679377134074e-1, 2.8534979699175198568e-1, 4.0000385967345029715e-1,
                                      6.6666665239970508093e-1, 2.0000000000084275813};
};

template <>
struct ExpTable<double, 16> {
  static constexpr double to_steps = 422212465065984.0;  // 2^48 + 2^47
  static constexpr int step_bits = 48;
  static constexpr double polynomial[5] = {1.3888594007473907253e-3, 8.3334719484755654293e-3, 4.1666666693260539310e-2,
                                           1.6666666664417071220e-1,
                                           4.9999999999999604127e-1};  // relative error 1.2e-17
  alignas(64) static constexpr std::uint64_t powers[16] = {
      0x3ff0000000000000, 0x3fefb5586cf9890f, 0x3fef72b83c7d517b, 0x3fef387a6e756238,
      0x3fef06fe0a31b715, 0x3feedea64c123422, 0x3feebfdad5362a27, 0x3feeab07dd485429,
      0x3feea09e667f3bcd, 0x3feea11473eb0187, 0x3feeace5422aa0db, 0x3feec49182a3f090,
      0x3feee89f995ad3ad, 0x3fef199bdd85529c, 0x3fef5818dcfba487, 0x3fefa4afa2a490da};
  alignas(64) static constexpr double lost[16] = {0.0,
                                                  8.18931764e-17,
                                                  -2.79391149e-17,
                                                  7.82657326e-17,
                                                  3.34846233e-17,
                                                  3.7508542e-17,
                                                  1.95725853e-17,
                                                  5.68648096e-17,
                                                  -6.83580866e-17,
                                                  -2.35910948e-17,
                                                  5.15483012e-17,
                                                  1.53414101e-17,
                                                  4.87516053e-17,
                                                  1.68548729e-17,
                                                  1.79012691e-17,
                                                  -5.54506562e-17};
};

/// The maximum of a row, and where a block of the row kernels begins that has it; negative if none has.
template <class T>
struct RowTop {
  T max;
  std::ptrdiff_t block;
};

/// What a kernel says of a row with maximum m: the sum of exp(z) over all z but some z = m, at least one, and the number of
/// these, with exp in units of exp(moved) 2^exponent, so that no difference of two logits was rounded. A NaN in the row is in
/// the sum.
struct RowSum {
  double sum;
  double lost;  // what the rounding of the sum lost
  double equal;
  double moved;
  double exponent;
};

}  // namespace xent::detail
