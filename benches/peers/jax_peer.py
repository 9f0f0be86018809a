"""JAX's side of `cargo xtask bench --peers`: see torch_peer.py."""

import os
import sys

os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
os.environ["JAX_PLATFORMS"] = "cpu"

import functools
import json
import time

import jax
import jax.numpy as jnp
import numpy

WINDOW = 0.6
SIZES = [784, 1000, 500, 250, 30, 250, 500, 1000, 784]
CODE = 3
IMAGES = 10_000

random = numpy.random.default_rng(0)
data = jnp.asarray(random.random((IMAGES, SIZES[0]), dtype=numpy.float32))


def parameters():
    return [
        (
            jnp.asarray(random.normal(0, 0.1, (i, o)).astype(numpy.float32)),
            jnp.zeros(o, jnp.float32),
        )
        for i, o in zip(SIZES, SIZES[1:])
    ]


def loss(parameters, x):
    out = x
    for index, (w, b) in enumerate(parameters):
        out = out @ w + b
        if index not in (CODE, len(parameters) - 1):
            out = jax.nn.sigmoid(out)
    # The logits' cross-entropy.
    return jnp.sum(jnp.maximum(out, 0) - out * x + jnp.log1p(jnp.exp(-jnp.abs(out)))) / x.shape[0]


@functools.partial(jax.jit, donate_argnums=(0, 1), static_argnums=3)
def step(parameters, sums, first, batch):
    x = jax.lax.dynamic_slice(data, (first, 0), (batch, SIZES[0]))
    gradients = jax.grad(loss)(parameters, x)
    sums = jax.tree.map(lambda s, g: s + g * g, sums, gradients)
    parameters = jax.tree.map(
        lambda p, s, g: p - 1e-3 * g / (jnp.sqrt(s) + 1e-10), parameters, sums, gradients
    )
    return parameters, sums


def case(name):
    batch = {"step-100": 100, "step-1000": 1000}[name.partition(" ")[0]]
    state = [parameters()]
    state.append(jax.tree.map(jnp.zeros_like, state[0]))
    first = 0

    def once():
        nonlocal first
        state[:] = step(*state, first, batch)
        jax.block_until_ready(state)
        first = (first + batch) % IMAGES

    return once


cases = {}
for line in sys.stdin:
    name = line.strip()
    if name not in cases:
        cases[name] = case(name)
        for _ in range(3):
            cases[name]()
    rounds, begun, clock = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() - begun < WINDOW:
        cases[name]()
        rounds += 1
    seconds = (time.process_time() - clock) / rounds
    answer = {"seconds": seconds, "version": f"JAX {jax.__version__}"}
    print(json.dumps(answer), flush=True)
