#!/bin/sh
# Makes the libraries in the folder $1.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
c++ -O2 -std=c++17 -shared -fPIC -Wall -Wextra -Wno-unused-parameter \
    "-DEMULATOR_FOLDER=\"$here\"" -o "$1/libcuda.so" "$here/driver.cpp" -ldl
for name in cublas curand nvrtc; do
    ln -sf libcuda.so "$1/lib$name.so"
done
