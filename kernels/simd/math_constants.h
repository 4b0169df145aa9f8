// The numbers of simd/math.h: the layout of the floating-point formats, limits, and the coefficients of polynomials,
// which scripts/fit_coefficients.py prints. Behind the coefficients stands the error of the fit, relative to the
// result.
#pragma once
#include "simd/vec.h"

namespace EK_ISA {

template <class T> struct real;

template <> struct real<float> {
  using unsigned_int = uint32_t;
  typedef uint32_t unsigned_vec __attribute__((vector_size(EK_VECTOR_BYTES)));
  static constexpr int mantissa = 23;
  static constexpr int32_t sign = INT32_MIN, one = 0x3f800000, sqrt_half = 0x3f3504f3, two_mantissa_bits = 0x4b000000;
  static constexpr int32_t upper_half = -(1 << 12);
  static constexpr uint32_t mantissa_mask = 0x007fffff;
  static constexpr float bias = 127, two_mantissa = 0x1p23f, round = 0x1.8p23f, min_normal = 0x1p-126f;
  static constexpr float epsilon = 0x1p-24f, inf = __builtin_inff(), nan = __builtin_nanf("");
  static constexpr float log2_e = 0x1.715476p0f, ln2_high = 0x1.62e4p-1f, ln2_low = 0x1.7f7d1cf79abcap-20f;
  // e^x overflows above 88.72 and rounds to 0 below −103.97; expm1 x rounds to −1 below −17.33.
  static constexpr float exp_max = 89, exp_min = -105, expm1_min = -18, tanh_max = 10, erfc_max = 11, normal_max = 15;
  static constexpr float angle_max = 6400;  // n < 2^12

  static constexpr float exp[] = {0.5000000044f,   0.1666666637f,   0.04166635983f,
                                  0.008333389637f, 0.001394071925f, 0.00019845849f};    // 2^−31.9
  static constexpr float log[] = {0.6666677642f, 0.3997752813f, 0.2987228051f};         // 2^−30.2
  static constexpr float sin[] = {-0.1666665457f, 0.008332158413f, -0.0001951495806f};  // 2^−28.0
  static constexpr float cos[] = {0.04166664562f, -0.001388731314f, 2.443279348e-5f};   // 2^−33.0
  static constexpr float erf[] = {0.1283791657f,   -0.3761262582f,    0.1128358515f,  -0.02685381165f,
                                  0.005188326967f, -0.0008010186326f, 7.853834936e-5f};  // 2^−29.6
  static constexpr float erfcx[] = {0.958996206f,     -0.6277956009f,   0.3460559147f,
                                    -0.1559663157f,   0.05413707699f,   -0.01233980821f,
                                    0.0005445788811f, 0.0007584618341f, -0.0001661432879f};  // 2^−28.4
  static constexpr float atan[] = {-0.3333331511f, 0.1999846601f, -0.1424342244f, 0.1059294741f,
                                   -0.06075918278f};  // 2^−30.5
  static constexpr float half_pi_high = 0x1.921fb6p+0f, half_pi_low = -0x1.777a5cp-25f;
  static constexpr float log10_2_high = 0x1.344p-2f, log10_2_low = 0x1.3509f8p-18f;
  static constexpr float half_pi[] = {0x1.92p+0f, 0x1.fb4p-12f, 0x1.444p-24f, 0x1.68cp-39f, 0x1.1a6264p-54f};
};

template <> struct real<double> {
  using unsigned_int = uint64_t;
  typedef uint64_t unsigned_vec __attribute__((vector_size(EK_VECTOR_BYTES)));
  static constexpr int mantissa = 52;
  static constexpr int64_t sign = INT64_MIN, one = 0x3ff0000000000000, sqrt_half = 0x3fe6a09e667f3bcd;
  static constexpr int64_t two_mantissa_bits = 0x4330000000000000, upper_half = -(int64_t{1} << 27);
  static constexpr uint64_t mantissa_mask = 0x000fffffffffffff;
  static constexpr double bias = 1023, two_mantissa = 0x1p52, round = 0x1.8p52, min_normal = 0x1p-1022;
  static constexpr double epsilon = 0x1p-53, inf = __builtin_inf(), nan = __builtin_nan("");
  static constexpr double log2_e = 0x1.71547652b82fep0, ln2_high = 0x1.62e42fefa3p-1, ln2_low = 0x1.3de6af278ece6p-42;
  // e^x overflows above 709.78 and rounds to 0 below −745.13; expm1 x rounds to −1 below −37.43.
  static constexpr double exp_max = 710, exp_min = -746, expm1_min = -38, tanh_max = 20, erfc_max = 28, normal_max = 39;
  static constexpr double angle_max = 1.6e6;  // n < 2^20

  static constexpr double exp[] = {0.500000000000000001,     0.166666666666666766,   0.0416666666666665071,
                                   0.00833333333332160776,   0.00138888888889629995, 0.000198412698862069131,
                                   0.0000248015871716607005, 2.7557244105326599e-6,  2.7557403092987064e-7,
                                   2.51090809862200705e-8,   2.08752817368478634e-9};  // 2^−61.7
  static constexpr double log[] = {0.666666666666673464, 0.399999999994127945, 0.285714287428880498,
                                   0.222221985138629159, 0.181835678045929655, 0.153139518725196213,
                                   0.14797030041509674};  // 2^−59.5
  static constexpr double sin[] = {-0.166666666666666305,    0.00833333333332206202,
                                   -0.000198412698295425282, 2.75573136045104307e-6,
                                   -2.50507450365736126e-8,  1.58960674925049644e-10};  // 2^−57.9
  static constexpr double cos[] = {0.0416666666666665925,    -0.00138888888888729762,
                                   0.0000248015872888001883, -2.7557314164019978e-7,
                                   2.08756987140787114e-9,   -1.13584237900791878e-11};  // 2^−64.0
  static constexpr double erf[] = {
      0.128379167095512566,   -0.376126389031835195,    0.112837916709441837,   -0.0268661706431113352,
      0.00522397760611760345, -0.000854832592928036109, 0.00012055293576054535, -0.0000149247122884115292,
      1.64471314299978739e-6, -1.62063128435994528e-7,  1.37109770443454586e-8, -7.7794631812083201e-10};  // 2^−56.9
  static constexpr double erfcx[] = {
      0.958996203375429743,     -0.627795595280621474,    0.346056209089943184,     -0.155966549780289724,
      0.0541319082498423552,    -0.0123385493393640666,   0.000575279897888366388,  0.00076311435689910063,
      -0.000231527212580219675, -0.000025286302445415119, 0.0000276424512480584822, -6.85761905652314451e-7,
      -3.17778646311022023e-6,  2.77886933018600765e-7,   4.05521697520559791e-7,   -3.97083499876326163e-8,
      -5.52649212370354853e-8,  3.37153031063820828e-9,   5.79878992257353788e-9};  // 2^−55.9
  static constexpr double atan[] = {-0.333333333333331948,  0.199999999999528197,   -0.142857142801213622,
                                    0.111111107798012559,   -0.0909089765515029721, 0.0769205843152940192,
                                    -0.0666308418211966286, 0.0584774725468227765,  -0.0503867430400744858,
                                    0.038048756130483277,   -0.0178901039578411826};  // 2^−59.4
  static constexpr double half_pi_high = 0x1.921fb54442d18p+0, half_pi_low = 0x1.1a62633145c07p-54;
  static constexpr double log10_2_high = 0x1.34413509f6p-2, log10_2_low = 0x1.9fef311f12b36p-42;
  static constexpr double half_pi[] = {0x1.921fb544p+0, 0x1.0b4611a6p-34, 0x1.3198a2ep-69, 0x1.b839a252049c1p-104};
};

// For pow: ((log((1 + s)/(1 − s))/s − 2)/z − 2/3)/z with z = s², the terms behind the two leading ones. 2^−65.3
constexpr double log_tail[] = {0.400000000000022713, 0.285714285700919025, 0.222222225213520278, 0.181817842372761829,
                               0.153867635175813301, 0.132566692352029173, 0.13197745909975747};

// The binary digits of 2/π after the point: 1216 = 1024 + 192 bits, for the largest double.
constexpr uint32_t two_over_pi[] = {0xa2f9836e, 0x4e441529, 0xfc2757d1, 0xf534ddc0, 0xdb629599, 0x3c439041, 0xfe5163ab,
                                    0xdebbc561, 0xb7246e3a, 0x424dd2e0, 0x06492eea, 0x09d1921c, 0xfe1deb1c, 0xb129a73e,
                                    0xe88235f5, 0x2ebb4484, 0xe99c7026, 0xb45f7e41, 0x3991d639, 0x835339f4, 0x9c845f8b,
                                    0xbdf9283b, 0x1ff897ff, 0xde05980f, 0xef2f118b, 0x5a0a6d1f, 0x6d367ecf, 0x27cb09b7,
                                    0x4f463f66, 0x9e5fea2d, 0x7527bac7, 0xebe5f17b, 0x3d0739f7, 0x8a5292ea, 0x6bfb5fb1,
                                    0x1f8d5d08, 0x56033046, 0xfc7b6bab};

}  // namespace EK_ISA
