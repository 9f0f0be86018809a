// Stands in front of CUDA C, so that a C++ compiler reads it. Compile with
// -ffp-contract=off: the kernels are compiled without fused products too.
#include <math.h>
#include <stddef.h>
#include <string.h>

struct Place { unsigned x, y, z; };
static Place gridDim, blockDim, blockIdx, threadIdx;

#define __global__
#define __device__ inline

inline unsigned __float_as_uint(float x) { unsigned u; memcpy(&u, &x, 4); return u; }
inline float __uint_as_float(unsigned u) { float x; memcpy(&x, &u, 4); return x; }
inline unsigned atomicAdd(unsigned* at, unsigned more) { unsigned old = *at; *at += more; return old; }

// Where the next call of a kernel stands: grid, block, block's place, thread's.
extern "C" void stand(const unsigned place[12]) {
    memcpy(&gridDim, place, 12);
    memcpy(&blockDim, place + 3, 12);
    memcpy(&blockIdx, place + 6, 12);
    memcpy(&threadIdx, place + 9, 12);
}
