// See README.md.
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

namespace {

typedef uint64_t u64;
const int INVALID_VALUE = 1, OUT_OF_MEMORY = 2, INVALID_IMAGE = 200, NOT_FOUND = 500;

std::recursive_mutex lock;

// ---- memory

u64 limit() {
    const char* text = getenv("EMULATED_GPU_BYTES");
    return text ? strtoull(text, nullptr, 10) : 4ull << 30;
}

struct Block { char* mapped; size_t mapped_len; size_t len; };
std::map<u64, Block> blocks;
u64 used = 0;

int allocate(u64* out, size_t len) {
    std::lock_guard<std::recursive_mutex> guard(lock);
    if (len == 0) return INVALID_VALUE;
    if (used + len > limit()) return OUT_OF_MEMORY;
    const size_t page = 4096;
    size_t padded = (len + 15) / 16 * 16;
    size_t pages = (padded + page - 1) / page * page;
    char* mapped = (char*)mmap(nullptr, pages + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped == MAP_FAILED) return OUT_OF_MEMORY;
    mprotect(mapped + pages, page, PROT_NONE);
    // Not zero, as on a device: what was not written must not be relied on.
    memset(mapped, 0xA5, pages);
    u64 at = (u64)(mapped + pages - padded);
    blocks[at] = Block{mapped, pages + page, len};
    used += len;
    *out = at;
    return 0;
}

int release(u64 at) {
    std::lock_guard<std::recursive_mutex> guard(lock);
    auto found = blocks.find(at);
    if (found == blocks.end()) return INVALID_VALUE;
    used -= found->second.len;
    munmap(found->second.mapped, found->second.mapped_len);
    blocks.erase(found);
    return 0;
}

// ---- kernels

// How an argument is passed on: as a whole number of so many bytes, or as a
// floating-point one.
struct Argument { bool floating; size_t bytes; };
struct Kernel { void* code; void (*stand)(const unsigned*); std::vector<Argument> arguments; };
struct Module { void* library; std::map<std::string, Kernel> kernels; };

std::vector<Argument> arguments_of(const std::string& list) {
    std::vector<Argument> all;
    std::stringstream parts(list);
    std::string part;
    while (std::getline(parts, part, ',')) {
        bool pointer = part.find('*') != std::string::npos;
        bool is_float = part.find("float") != std::string::npos;
        bool is_double = part.find("double") != std::string::npos;
        bool is_long = part.find("u64") != std::string::npos || part.find("long") != std::string::npos || part.find("size_t") != std::string::npos;
        if (pointer) all.push_back({false, 8});
        else if (is_double) all.push_back({true, 8});
        else if (is_float) all.push_back({true, 4});
        else all.push_back({false, is_long ? size_t(8) : size_t(4)});
    }
    return all;
}

// On x86-64 whole and floating-point arguments are counted apart, so that one
// call fits every kernel: what it does not take does no harm.
typedef void (*Code)(u64, u64, u64, u64, u64, u64, double, double, double, double, double, double, double, double,
                     u64, u64, u64, u64, u64, u64, u64, u64, u64, u64);

void call(const Kernel& kernel, const u64* whole, const double* floating) {
    ((Code)kernel.code)(whole[0], whole[1], whole[2], whole[3], whole[4], whole[5], floating[0], floating[1], floating[2],
                        floating[3], floating[4], floating[5], floating[6], floating[7], whole[6], whole[7], whole[8], whole[9],
                        whole[10], whole[11], whole[12], whole[13], whole[14], whole[15]);
}

// ---- the compiler

struct Program { std::string source, image, log; };

std::string read_file(const std::string& path) {
    std::ifstream in(path);
    std::stringstream text;
    text << in.rdbuf();
    return text.str();
}

}  // namespace

extern "C" {

// ---- driver

int cuInit(unsigned) { return 0; }
int cuDriverGetVersion(int* version) { *version = 13000; return 0; }
int cuDeviceGet(int* device, int) { *device = 0; return 0; }
int cuDeviceGetCount(int* count) { *count = 1; return 0; }
int cuDeviceGetName(char* name, int len, int) { snprintf(name, len, "emulated by the processor"); return 0; }
int cuDeviceTotalMem_v2(size_t* bytes, int) { *bytes = limit(); return 0; }
int cuDeviceGetAttribute(int* value, int attribute, int) {
    switch (attribute) {
        case 75: *value = 9; break;   // compute capability, major
        case 76: *value = 0; break;   // and minor
        case 115: *value = 1; break;  // memory pools
        default: *value = 1;
    }
    return 0;
}
int cuDevicePrimaryCtxRetain(void** context, int) { *context = (void*)1; return 0; }
int cuDevicePrimaryCtxRelease_v2(int) { return 0; }
int cuDevicePrimaryCtxRelease(int) { return 0; }
int cuCtxSetCurrent(void*) { return 0; }
int cuCtxGetCurrent(void** context) { *context = (void*)1; return 0; }
int cuCtxSynchronize() { return 0; }
int cuMemGetInfo_v2(size_t* free, size_t* total) { *total = limit(); *free = limit() - used; return 0; }
int cuMemAlloc_v2(u64* at, size_t len) { return allocate(at, len); }
int cuMemAllocAsync(u64* at, size_t len, void*) { return allocate(at, len); }
int cuMemFree_v2(u64 at) { return release(at); }
int cuMemFreeAsync(u64 at, void*) { return release(at); }
int cuMemsetD8Async(u64 at, unsigned char value, size_t len, void*) { memset((void*)at, value, len); return 0; }
int cuMemcpyHtoDAsync_v2(u64 to, const void* from, size_t len, void*) { memcpy((void*)to, from, len); return 0; }
int cuMemcpyDtoHAsync_v2(void* to, u64 from, size_t len, void*) { memcpy(to, (void*)from, len); return 0; }
int cuMemcpyDtoDAsync_v2(u64 to, u64 from, size_t len, void*) { memmove((void*)to, (void*)from, len); return 0; }
int cuStreamCreate(void** stream, unsigned) { *stream = (void*)2; return 0; }
int cuStreamDestroy_v2(void*) { return 0; }
int cuStreamSynchronize(void*) { return 0; }
int cuStreamWaitEvent(void*, void*, unsigned) { return 0; }
int cuEventCreate(void** event, unsigned) { *event = (void*)3; return 0; }
int cuEventRecord(void*, void*) { return 0; }
int cuEventDestroy_v2(void*) { return 0; }
int cuGetErrorName(int error, const char** name) {
    *name = error == OUT_OF_MEMORY ? "CUDA_ERROR_OUT_OF_MEMORY" : "CUDA_ERROR_EMULATED";
    return 0;
}
int cuGetErrorString(int error, const char** text) {
    *text = error == OUT_OF_MEMORY ? "out of memory" : "emulated error";
    return 0;
}

int cuModuleLoadData(void** module, const void* image) {
    std::string path = (const char*)image;
    if (path.empty()) return INVALID_IMAGE;
    void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!library) { fprintf(stderr, "emulator: %s\n", dlerror()); return INVALID_IMAGE; }
    Module* loaded = new Module{library, {}};
    void* stand = dlsym(library, "stand");
    std::string source = read_file(path + ".cpp");
    std::regex signature("extern \"C\" __global__ void (\\w+)\\(([^)]*)\\)");
    for (std::sregex_iterator it(source.begin(), source.end(), signature), end; it != end; ++it)
        loaded->kernels[(*it)[1]] = Kernel{dlsym(library, (*it)[1].str().c_str()), (void (*)(const unsigned*))stand, arguments_of((*it)[2])};
    *module = loaded;
    return 0;
}
int cuModuleUnload(void*) { return 0; }
int cuModuleGetFunction(void** function, void* module, const char* name) {
    Module* loaded = (Module*)module;
    auto found = loaded->kernels.find(name);
    if (found == loaded->kernels.end() || !found->second.code) return NOT_FOUND;
    *function = &found->second;
    return 0;
}
int cuFuncSetAttribute(void*, int, int) { return 0; }

int cuLaunchKernel(void* function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned, void*, void** parameters, void**) {
    std::lock_guard<std::recursive_mutex> guard(lock);
    const Kernel& kernel = *(const Kernel*)function;
    // The limits of a device.
    if (gy > 65535 || gz > 65535 || u64(bx) * by * bz > 1024 || !gx || !gy || !gz) return INVALID_VALUE;
    u64 whole[16] = {0};
    double floating[8] = {0};
    size_t wholes = 0, floatings = 0;
    for (size_t i = 0; i < kernel.arguments.size(); ++i) {
        const Argument& argument = kernel.arguments[i];
        if (argument.floating) memcpy(&floating[floatings++], parameters[i], argument.bytes);
        else memcpy(&whole[wholes++], parameters[i], argument.bytes);
    }
    unsigned place[12] = {gx, gy, gz, bx, by, bz, 0, 0, 0, 0, 0, 0};
    for (place[8] = 0; place[8] < gz; ++place[8])
        for (place[7] = 0; place[7] < gy; ++place[7])
            for (place[6] = 0; place[6] < gx; ++place[6])
                for (place[9] = 0; place[9] < bx; ++place[9]) {
                    kernel.stand(place);
                    call(kernel, whole, floating);
                }
    return 0;
}

// ---- cuBLAS

int cublasCreate_v2(void** handle) { *handle = (void*)4; return 0; }
int cublasDestroy_v2(void*) { return 0; }
int cublasSetStream_v2(void*, void*) { return 0; }
int cublasSetWorkspace_v2(void*, void*, size_t) { return 0; }
int cublasSetMathMode(void*, int) { return 0; }

int cublasSgemmStridedBatched(void*, int transa, int transb, int m, int n, int k, const float* alpha, const float* a, int lda, long long stride_a,
                              const float* b, int ldb, long long stride_b, const float* beta, float* c, int ldc, long long stride_c, int batch) {
    // Arguments that cuBLAS would refuse.
    if (lda < (transa ? k : m) || ldb < (transb ? n : k) || ldc < m) return 7;
    std::vector<float> column(m);
    for (int s = 0; s < batch; ++s) {
        const float* as = a + s * stride_a;
        const float* bs = b + s * stride_b;
        float* cs = c + s * stride_c;
        for (int j = 0; j < n; ++j) {
            std::fill(column.begin(), column.end(), 0.0f);
            for (int l = 0; l < k; ++l) {
                float factor = transb ? bs[j + (size_t)l * ldb] : bs[l + (size_t)j * ldb];
                if (transa)
                    for (int i = 0; i < m; ++i) column[i] += as[l + (size_t)i * lda] * factor;
                else
                    for (int i = 0; i < m; ++i) column[i] += as[i + (size_t)l * lda] * factor;
            }
            float* out = cs + (size_t)j * ldc;
            for (int i = 0; i < m; ++i) out[i] = *alpha * column[i] + (*beta == 0.0f ? 0.0f : *beta * out[i]);
        }
    }
    return 0;
}

// ---- cuRAND: only made, never asked

int curandCreateGenerator(void** generator, int) { *generator = (void*)5; return 0; }
int curandDestroyGenerator(void*) { return 0; }
int curandSetStream(void*, void*) { return 0; }
int curandSetPseudoRandomGeneratorSeed(void*, unsigned long long) { return 0; }
int curandSetGeneratorOffset(void*, unsigned long long) { return 0; }

// ---- NVRTC

int nvrtcCreateProgram(void** program, const char* source, const char*, int, const char* const*, const char* const*) {
    *program = new Program{source, "", ""};
    return 0;
}
int nvrtcDestroyProgram(void** program) { delete (Program*)*program; *program = nullptr; return 0; }
int nvrtcCompileProgram(void* program, int, const char* const*) {
    Program* it = (Program*)program;
    std::string folder = std::filesystem::temp_directory_path() / "adamix-emulator-XXXXXX";
    if (!mkdtemp(folder.data())) return 1;
    std::string library = folder + "/kernels.so";
    std::ofstream(library + ".cpp") << "#include \"" EMULATOR_FOLDER "/cuda_on_cpu.h\"\n" << it->source;
    std::string command = "c++ -O2 -std=c++17 -ffp-contract=off -shared -fPIC -Wno-unknown-pragmas -o " + library + " " + library + ".cpp 2> " + library + ".log";
    int failed = system(command.c_str());
    it->log = read_file(library + ".log");
    it->image = library;
    return failed ? 6 : 0;
}
int nvrtcGetPTXSize(void* program, size_t* size) { *size = ((Program*)program)->image.size() + 1; return 0; }
int nvrtcGetPTX(void* program, char* ptx) { strcpy(ptx, ((Program*)program)->image.c_str()); return 0; }
int nvrtcGetProgramLogSize(void* program, size_t* size) { *size = ((Program*)program)->log.size() + 1; return 0; }
int nvrtcGetProgramLog(void* program, char* log) { strcpy(log, ((Program*)program)->log.c_str()); return 0; }

}  // extern "C"
