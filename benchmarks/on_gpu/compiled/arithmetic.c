// NVVM's arithmetic intrinsics, and the PTX instructions within libdevice, as IEEE 754 has them: what the
// hardware approximates is here rounded to nearest, and subnormal numbers are not flushed.
#include "threads.h"
#include <fenv.h>
#include <math.h>
#include <string.h>

#define F1(name, value) float nvvm_##name(float x) { return value; }
#define D1(name, value) double nvvm_##name(double x) { return value; }
#define F2(name, value) float nvvm_##name(float x, float y) { return value; }
#define D2(name, value) double nvvm_##name(double x, double y) { return value; }

F1(fabs_f32, fabsf(x)) F1(fabs_f, fabsf(x)) F1(fabs_ftz_f32, fabsf(x)) F1(fabs_ftz_f, fabsf(x))
D1(fabs_f64, fabs(x)) D1(fabs_d, fabs(x))
F1(ex2_approx_f32, exp2f(x)) F1(ex2_approx_f, exp2f(x))
F1(ex2_approx_ftz_f32, exp2f(x)) F1(ex2_approx_ftz_f, exp2f(x))
F1(lg2_approx_f, log2f(x)) F1(lg2_approx_ftz_f, log2f(x))
F1(sqrt_rn_f, sqrtf(x)) F1(sqrt_rn_ftz_f, sqrtf(x))
F1(sqrt_approx_f, sqrtf(x)) F1(sqrt_approx_ftz_f, sqrtf(x))
D1(sqrt_rn_d, sqrt(x))
F1(rcp_rn_f, 1 / x) F1(rcp_rn_ftz_f, 1 / x) F1(rcp_approx_ftz_f, 1 / x)
D1(rcp_rn_d, 1 / x) D1(rcp_approx_ftz_d, 1 / x)
F1(rsqrt_approx_f, 1 / sqrtf(x)) F1(rsqrt_approx_ftz_f, 1 / sqrtf(x)) D1(rsqrt_approx_d, 1 / sqrt(x))
F1(floor_f, floorf(x)) F1(ceil_f, ceilf(x)) F1(trunc_f, truncf(x)) F1(round_f, rintf(x))
D1(floor_d, floor(x)) D1(ceil_d, ceil(x)) D1(trunc_d, trunc(x)) D1(round_d, rint(x))
F1(saturate_f, x > 0 ? fminf(x, 1) : 0) D1(saturate_d, x > 0 ? fmin(x, 1) : 0)

F2(div_rn_f, x / y) F2(div_rn_ftz_f, x / y) F2(div_approx_f, x / y) F2(div_approx_ftz_f, x / y)
D2(div_rn_d, x / y)
F2(fmin_f, fminf(x, y)) F2(fmax_f, fmaxf(x, y)) F2(fmin_ftz_f, fminf(x, y)) F2(fmax_ftz_f, fmaxf(x, y))
D2(fmin_d, fmin(x, y)) D2(fmax_d, fmax(x, y))
F2(add_rn_f, x + y) F2(mul_rn_f, x * y) D2(add_rn_d, x + y) D2(mul_rn_d, x * y)

float nvvm_fma_rn_f(float x, float y, float z) { return fmaf(x, y, z); }
float nvvm_fma_rn_ftz_f(float x, float y, float z) { return fmaf(x, y, z); }
double nvvm_fma_rn_d(double x, double y, double z) { return fma(x, y, z); }

float nvvm_fma_rm_f(float x, float y, float z) { // rounded downwards
    volatile float a = x, b = y, c = z;
    fesetround(FE_DOWNWARD);
    volatile float rounded = fmaf(a, b, c);
    fesetround(FE_TONEAREST);
    return rounded;
}

int nvvm_d2i_rn(double x) { return (int)nearbyint(x); }
int nvvm_f2i_rn(float x) { return (int)nearbyintf(x); }
int nvvm_d2i_rz(double x) { return (int)x; }
int nvvm_f2i_rz(float x) { return (int)x; }

static int64_t bits_of(double x) {
    int64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

int nvvm_d2i_hi(double x) { return (int)(bits_of(x) >> 32); }
int nvvm_d2i_lo(double x) { return (int)bits_of(x); }

double nvvm_lohi_i2d(int low, int high) {
    int64_t bits = (int64_t)high << 32 | (uint32_t)low;
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

float ptx_rcp_approx_ftz_f32(float x) { return 1 / x; }
double ptx_rcp_approx_ftz_f64(double x) { return 1 / x; }
double ptx_rsqrt_approx_ftz_f64(double x) { return 1 / sqrt(x); }
