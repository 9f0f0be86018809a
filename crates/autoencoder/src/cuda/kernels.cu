// What a training step computes beside matrix products and the update. The
// grid's second axis counts replicas; its first, in blocks of threads, runs over
// the numbers of one replica. No thread waits for another, so that the order of
// every sum is fixed.

typedef unsigned long long u64;

__device__ u64 number() { return (u64)blockIdx.x * blockDim.x + threadIdx.x; }

// The same operations as the CPU form, see `real.rs`: the same bits.
__device__ float logistic(float x) {
    if (x != x) return x;
    float y = fminf(fmaxf(-x, -87.0f), 87.0f);
    float rounded = y * 1.44269504f + 12582912.0f;
    float n = rounded - 12582912.0f;
    float r = (y - n * 0.6933594f) - n * -2.1219444e-4f;
    float series = 1.0f / 5040.0f;
    series = series * r + 1.0f / 720.0f;
    series = series * r + 1.0f / 120.0f;
    series = series * r + 1.0f / 24.0f;
    series = series * r + 1.0f / 6.0f;
    series = series * r + 0.5f;
    series = series * r + 1.0f;
    series = series * r + 1.0f;
    float power = __uint_as_float((__float_as_uint(rounded) + 127u) << 23);
    return 1.0f / (1.0f + series * power);
}

// Rows `first` to `first + rows` of each replica's order, as pixels of 0 to 1.
extern "C" __global__ void load_pixels(const unsigned char* pixels, const unsigned* orders, const unsigned* order_of, u64 count, u64 first, unsigned rows, unsigned batch, unsigned width, float* x) {
    u64 i = number();
    if (i >= (u64)rows * width) return;
    unsigned replica = blockIdx.y;
    u64 row = i / width;
    u64 image = orders[order_of[replica] * count + first + row];
    x[(u64)replica * batch * width + i] = (float)pixels[image * width + i % width] / 255.0f;
}

// The same from rows of numbers that each replica has for itself.
extern "C" __global__ void load_rows(const float* numbers, const unsigned* orders, const unsigned* order_of, u64 count, u64 first, unsigned rows, unsigned batch, unsigned width, float* x) {
    u64 i = number();
    if (i >= (u64)rows * width) return;
    unsigned replica = blockIdx.y;
    u64 row = i / width;
    u64 image = orders[order_of[replica] * count + first + row];
    x[(u64)replica * batch * width + i] = numbers[((u64)replica * count + image) * width + i % width];
}

// Puts the first rows of each replica's batch behind one another.
extern "C" __global__ void store_rows(const float* x, u64 count, u64 first, unsigned rows, unsigned batch, unsigned width, float* numbers) {
    u64 i = number();
    if (i >= (u64)rows * width) return;
    unsigned replica = blockIdx.y;
    numbers[((u64)replica * count + first) * width + i] = x[(u64)replica * batch * width + i];
}

extern "C" __global__ void activate(float* out, const float* biases, unsigned batch, unsigned width, unsigned is_logistic) {
    u64 i = number();
    if (i >= (u64)batch * width) return;
    unsigned replica = blockIdx.y;
    float* o = out + (u64)replica * batch * width + i;
    float sum = *o + biases[(u64)replica * width + i % width];
    *o = is_logistic ? logistic(sum) : sum;
}

// Times the derivative of the logistic function, by its output.
extern "C" __global__ void derive(float* delta, const float* y, u64 len) {
    u64 i = number();
    if (i >= len) return;
    u64 at = blockIdx.y * len + i;
    delta[at] = delta[at] * (y[at] * (1.0f - y[at]));
}

extern "C" __global__ void loss_delta(float* delta, const float* y, const float* x, u64 len, unsigned squared, float scale) {
    u64 i = number();
    if (i >= len) return;
    u64 at = blockIdx.y * len + i;
    float difference = y[at] - x[at];
    delta[at] = squared ? difference * (2.0f * scale) * (y[at] * (1.0f - y[at])) : difference * scale;
}

// out = keep * out + factor * (sum of the rows), one thread a column.
extern "C" __global__ void sum_rows(float* out, const float* rows, unsigned batch, unsigned width, float keep, float factor) {
    u64 column = number();
    if (column >= width) return;
    unsigned replica = blockIdx.y;
    const float* row = rows + (u64)replica * batch * width + column;
    float sum = keep == 0.0f ? 0.0f : keep * out[(u64)replica * width + column];
    for (unsigned i = 0; i < batch; ++i) sum += factor * row[(u64)i * width];
    out[(u64)replica * width + column] = sum;
}

// Adds the squared error of the first rows to 16 sums a row.
extern "C" __global__ void add_squared_errors(const float* y, const float* x, unsigned rows, unsigned batch, unsigned width, double* sums) {
    u64 i = number();
    if (i >= (u64)rows * 16) return;
    unsigned replica = blockIdx.y;
    u64 start = ((u64)replica * batch + i / 16) * width;
    double sum = 0.0;
    for (unsigned j = i % 16; j < width; j += 16) {
        double difference = (double)y[start + j] - (double)x[start + j];
        sum += difference * difference;
    }
    sums[(u64)replica * batch * 16 + i] += sum;
}

// One block of Philox 4x32-10, as in `random.rs`.
__device__ void philox(unsigned counter[4], unsigned key0, unsigned key1) {
    for (int round = 0; round < 10; ++round) {
        u64 product0 = (u64)0xD2511F53u * counter[0];
        u64 product1 = (u64)0xCD9E8D57u * counter[2];
        unsigned c0 = (unsigned)(product1 >> 32) ^ counter[1] ^ key0;
        unsigned c2 = (unsigned)(product0 >> 32) ^ counter[3] ^ key1;
        counter[1] = (unsigned)product1;
        counter[3] = (unsigned)product0;
        counter[0] = c0;
        counter[2] = c2;
        key0 += 0x9E3779B9u;
        key1 += 0xBB67AE85u;
    }
}

__device__ double uniform(unsigned high, unsigned low) {
    return (double)(((u64)(high >> 5) << 26) | (low >> 6)) * (1.0 / 9007199254740992.0);
}

// Hidden states from probabilities, or means, and the noise of stream `index`
// of `purpose`: one thread four numbers of noise, that is, four states of binary
// units or one of Gaussian ones.
extern "C" __global__ void sample(float* states, const float* p, const u64* seeds, u64 index, unsigned purpose, u64 len, unsigned is_logistic) {
    u64 block = number();
    u64 first = is_logistic ? 4 * block : block;
    if (first >= len) return;
    unsigned replica = blockIdx.y;
    u64 seed = seeds[replica];
    unsigned words[4] = {(unsigned)block, (unsigned)index, (unsigned)(index >> 32), purpose};
    philox(words, (unsigned)seed, (unsigned)(seed >> 32));
    p += replica * len;
    states += replica * len;
    if (is_logistic) {
        for (u64 j = 0; j < 4 && first + j < len; ++j) {
            float noise = (float)(int)(words[j] >> 8) * (1.0f / 16777216.0f);
            states[first + j] = p[first + j] > noise ? 1.0f : 0.0f;
        }
    } else {
        double radius = sqrt(-2.0 * log(1.0 - uniform(words[0], words[1])));
        double noise = radius * cos(6.283185307179586 * uniform(words[2], words[3]));
        states[first] = p[first] + (float)noise;
    }
}

// Takes the weight cost off the velocity and moves the weights by it.
extern "C" __global__ void move_weights(float* w, float* velocity, u64 len, float cost) {
    u64 i = number();
    if (i >= len) return;
    u64 at = blockIdx.y * len + i;
    float v = velocity[at] - cost * w[at];
    velocity[at] = v;
    w[at] = w[at] + v;
}

// Biases of an RBM: the velocity from the two phases, and the step by it.
extern "C" __global__ void move_biases(float* biases, float* velocity, const float* positive, const float* negative, unsigned batch, unsigned width, float momentum, float rate) {
    u64 column = number();
    if (column >= width) return;
    unsigned replica = blockIdx.y;
    u64 at = (u64)replica * width + column;
    u64 start = (u64)replica * batch * width + column;
    float v = momentum * velocity[at];
    for (unsigned i = 0; i < batch; ++i) v += rate * positive[start + (u64)i * width];
    for (unsigned i = 0; i < batch; ++i) v += -rate * negative[start + (u64)i * width];
    velocity[at] = v;
    biases[at] = biases[at] + v;
}

// Counts the sizes |g| whose bits above the eight from `shift` on are the
// replica's prefix, by those eight: a step towards their median. Number 256
// counts what is not a number.
extern "C" __global__ void count_sizes(const float* g, u64 len, const unsigned* prefixes, unsigned shift, unsigned* counts) {
    unsigned replica = blockIdx.y;
    for (u64 i = number(); i < len; i += (u64)gridDim.x * blockDim.x) {
        unsigned bits = __float_as_uint(g[replica * len + i]) & 0x7fffffffu;
        if (bits > 0x7f800000u) atomicAdd(&counts[replica * 257 + 256], 1u);
        if ((u64)bits >> (shift + 8) == prefixes[replica]) atomicAdd(&counts[replica * 257 + ((bits >> shift) & 255u)], 1u);
    }
}
