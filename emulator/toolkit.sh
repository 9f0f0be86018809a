#!/bin/sh
# Puts into the folder $1 what it takes to compile and link the feature `cuda`
# on a machine without CUDA: NVIDIA's compiler from PyPI, and empty libraries to
# link with, since the program opens the real ones when it runs. CUDA 13.0, whose
# code a driver of series 580 still takes. Beside it, for `cuda-check
# --compile-for`, the run-time compilers of CUDA 13, and of CUDA 12 for the
# architectures that 13 has dropped.
set -eu
mkdir -p "$1"
to=$(cd "$1" && pwd)
python3 -m pip install -q --no-deps --upgrade --target "$to" \
    nvidia-cuda-nvcc==13.0.88 nvidia-cuda-crt==13.0.88 nvidia-nvvm==13.0.88 \
    nvidia-cuda-runtime==13.0.96 nvidia-cuda-cccl==13.0.85
python3 -m pip install -q --no-deps --upgrade --target "$to/nvrtc13" nvidia-cuda-nvrtc==13.0.88
python3 -m pip install -q --no-deps --upgrade --target "$to/nvrtc12" nvidia-cuda-nvrtc-cu12==12.9.86
for version in 12 13; do
    mkdir -p "$to/lib$version"
    for library in "$to/nvrtc$version"/nvidia/*/lib/libnvrtc*.so*; do
        ln -sf "$library" "$to/lib$version/"
    done
    ln -sf "$to/lib$version/libnvrtc.so.$version" "$to/lib$version/libnvrtc.so"
done
cuda=$to/nvidia/cu13
ln -sfn lib "$cuda/lib64"
mkdir -p "$cuda/lib/stubs"
ln -sf ../libcudart_static.a "$cuda/lib/stubs/libcudart.a"
for name in cuda nvrtc curand cublas cublasLt; do
    cc -shared -o "$cuda/lib/stubs/lib$name.so" -x c /dev/null
done
# candle's kernels for quantized models take most of the time and are never
# called from here: empty objects in their place, which the linker drops.
cat > "$to/nvcc" <<'WRAPPER'
#!/bin/bash
out=; before=; skip=
for argument in "$@"; do
    [ "$before" = -o ] && out=$argument
    case "$argument" in */mmq_*.cu | */mmvq_*.cu | */moe_*.cu) skip=1 ;; esac
    before=$argument
done
if [ -n "$skip" ] && [ -n "$out" ]; then
    exec cc -x c -c -o "$out" /dev/null
fi
exec "$CUDA_HOME/bin/nvcc" "$@"
WRAPPER
chmod +x "$to/nvcc"
