// The update of all parameters of all replicas in one launch.
//
// In front of this file stand, for every rule, `update<RULE>` and
// `prepare<RULE>` made of the texts beside its CPU form, and `RULES`, which
// calls a macro for each.

// One tensor of one replica.
struct Segment {
    float* w;
    const float* g;
    // State number i of parameter j is state[i * len + j].
    float* state;
    unsigned long long len;
    unsigned rule;
    // Which of the groups of an update it belongs to.
    unsigned group;
};

// PART parameters of a segment, from number `start` on: what one block does.
struct Part {
    unsigned segment;
    unsigned start;
};

// What an update needs that is the same for all parameters of a group.
struct Group {
    float c[8];
    // Which numbers of state are touched; -1 is none.
    int slot[4];
    // Whether the state is prepared before this update.
    int prepares;
    // Whether c[0] is yet to be divided, by the root of (c[1] + sum of g^2) / c[1].
    int divided_by_squares;
};

const unsigned PART = 2048;
const unsigned LANES = 256;

template <int RULE>
__device__ void update_part(const Segment& segment, const Group& group, const float* c, unsigned long long start, unsigned long long end) {
    float* __restrict__ w = segment.w;
    const float* __restrict__ g = segment.g;
    float* slot[4];
    for (int j = 0; j < 4; ++j)
        slot[j] = group.slot[j] < 0 ? 0 : segment.state + group.slot[j] * segment.len;
    float* __restrict__ s0 = slot[0];
    float* __restrict__ s1 = slot[1];
    float* __restrict__ s2 = slot[2];
    float* __restrict__ s3 = slot[3];
#pragma unroll 4
    for (unsigned long long i = start + threadIdx.x; i < end; i += blockDim.x) {
        float s[4] = {s0 ? s0[i] : 0.0f, s1 ? s1[i] : 0.0f, s2 ? s2[i] : 0.0f, s3 ? s3[i] : 0.0f};
        w[i] = update<RULE>(c, w[i], g[i], s);
        if (s0) s0[i] = s[0];
        if (s1) s1[i] = s[1];
        if (s2) s2[i] = s[2];
        if (s3) s3[i] = s[3];
    }
}

__device__ unsigned long long part_end(const Segment& segment, const Part& part) {
    unsigned long long end = (unsigned long long)part.start + PART;
    return end < segment.len ? end : segment.len;
}

// One block a part. `groups` are those of this update; `squares` holds each
// segment's sum of g^2 where its rule asks for it.
extern "C" __global__ void update_parts(const Segment* segments, const Part* parts, const Group* groups, const double* squares) {
    const Part part = parts[blockIdx.x];
    const Segment segment = segments[part.segment];
    const Group group = groups[segment.group];
    float c[8];
    for (int j = 0; j < 8; ++j) c[j] = group.c[j];
    if (group.divided_by_squares) {
        double k = c[1];
        c[0] = (float)(c[0] * sqrt(k / (k + squares[part.segment])));
    }
    const unsigned long long end = part_end(segment, part);
    switch (segment.rule) {
#define CASE(RULE) \
    case RULE: update_part<RULE>(segment, group, c, part.start, end); break;
        RULES(CASE)
#undef CASE
    }
}

// One block a part: the work on the state alone that some updates begin with.
extern "C" __global__ void prepare_parts(const Segment* segments, const Part* parts, const Group* groups) {
    const Part part = parts[blockIdx.x];
    const Segment segment = segments[part.segment];
    const Group group = groups[segment.group];
    if (!group.prepares) return;
    const unsigned long long end = part_end(segment, part);
    for (unsigned long long i = part.start + threadIdx.x; i < end; i += blockDim.x) {
        switch (segment.rule) {
#define CASE(RULE) \
    case RULE: prepare<RULE>(group.c, segment.state + i, segment.len); break;
            RULES(CASE)
#undef CASE
        }
    }
}

// One block of LANES threads a segment: each adds up every LANES-th square, so
// that the order of the sum is fixed.
extern "C" __global__ void square_lanes(const Segment* segments, const Group* groups, double* lanes) {
    const Segment segment = segments[blockIdx.x];
    if (!groups[segment.group].divided_by_squares) return;
    double sum = 0.0;
    for (unsigned long long i = threadIdx.x; i < segment.len; i += LANES)
        sum += (double)segment.g[i] * (double)segment.g[i];
    lanes[(unsigned long long)blockIdx.x * LANES + threadIdx.x] = sum;
}

// One thread a segment.
extern "C" __global__ void square_sums(const double* lanes, double* squares, unsigned segments) {
    const unsigned segment = blockIdx.x * blockDim.x + threadIdx.x;
    if (segment >= segments) return;
    double sum = 0.0;
    for (unsigned lane = 0; lane < LANES; ++lane)
        sum += lanes[(unsigned long long)segment * LANES + lane];
    squares[segment] = sum;
}
