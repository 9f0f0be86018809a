"""PyTorch's side of `cargo xtask bench --peers`, written as well as we can.

Usage: torch_peer.py eager|compile. Waits for the name of a case on standard
input, works at it for WINDOW seconds, answers with one line of JSON with the
processor time of a round, and so on.
"""

import gzip
import json
import os
import sys
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MKL_NUM_THREADS", "1")

import numpy
import torch
import torch.nn.functional as F

WINDOW = 0.6
SIZES = [784, 1000, 500, 250, 30, 250, 500, 1000, 784]
CODE = 3  # the layer without a logistic function
IMAGES = 10_000

torch.set_num_threads(1)
torch.manual_seed(0)
data = torch.rand(IMAGES, SIZES[0])


def mnist():
    """The first images to train on in the folder ADAMIX_DATA, gzip or plain IDX."""
    path = os.path.join(os.environ["ADAMIX_DATA"], "train-images-idx3-ubyte")
    packed = os.path.exists(path + ".gz")
    with gzip.open(path + ".gz") if packed else open(path, "rb") as file:
        pixels = numpy.frombuffer(file.read(16 + IMAGES * SIZES[0])[16:], numpy.uint8)
    return torch.from_numpy(pixels.reshape(-1, SIZES[0]) / numpy.float32(255))


def parameters():
    weights = [torch.randn(i, o).mul_(0.1) for i, o in zip(SIZES, SIZES[1:])]
    biases = [torch.zeros(o) for o in SIZES[1:]]
    return weights, biases


def logits(weights, biases, x):
    last = len(weights) - 1
    for index, (w, b) in enumerate(zip(weights, biases)):
        x = torch.addmm(b, x, w)
        if index not in (CODE, last):
            x = torch.sigmoid(x)
    return x


def loss_of(weights, biases, x):
    out = logits(weights, biases, x)
    return F.binary_cross_entropy_with_logits(out, x, reduction="sum") / x.shape[0]


def step(compiled, data, batch):
    weights, biases = parameters()
    leaves = [p.requires_grad_() for p in weights + biases]
    optimizer = torch.optim.Adagrad(leaves, lr=1e-3, fused=True)
    loss = torch.compile(loss_of) if compiled else loss_of
    first = 0

    def once():
        nonlocal first
        x = data[first : first + batch]  # a view: nothing is copied
        first = (first + batch) % IMAGES
        optimizer.zero_grad(set_to_none=True)
        loss(weights, biases, x).backward()
        optimizer.step()

    return once


def contrastive_divergence(compiled, data, batch=100):
    visible, hidden = SIZES[:2]
    w = torch.randn(visible, hidden).mul_(0.1)
    vb, hb = torch.zeros(visible), torch.zeros(hidden)
    wv, vv, hv = torch.zeros_like(w), torch.zeros_like(vb), torch.zeros_like(hb)
    rate, cost, momentum = 0.1, 2e-4, 0.5

    def update(v0):
        p0 = torch.addmm(hb, v0, w).sigmoid_()
        states = (p0 > torch.rand(batch, hidden)).float()
        v1 = torch.addmm(vb, states, w.t()).sigmoid_()
        p1 = torch.addmm(hb, v1, w).sigmoid_()
        error = (v0 - v1).square_().sum() / batch
        wv.addmm_(v0.t(), p0, beta=momentum, alpha=rate / batch)
        wv.addmm_(v1.t(), p1, alpha=-rate / batch)
        wv.add_(w, alpha=-rate * cost)
        w.add_(wv)
        vv.mul_(momentum).add_((v0.sum(0) - v1.sum(0)), alpha=rate / batch)
        vb.add_(vv)
        hv.mul_(momentum).add_((p0.sum(0) - p1.sum(0)), alpha=rate / batch)
        hb.add_(hv)
        return error

    update = torch.compile(update) if compiled else update
    first = 0

    def once():
        nonlocal first
        with torch.no_grad():
            update(data[first : first + batch]).item()
        first = (first + batch) % IMAGES

    return once


def evaluation(compiled, data):
    weights, biases = parameters()

    def error(x):
        return (torch.sigmoid(logits(weights, biases, x)) - x).square().sum(dtype=torch.float64)

    error = torch.compile(error) if compiled else error

    def once():
        with torch.no_grad():
            sum(error(x).item() for x in data.split(500))

    return once


def case(name, compiled):
    images = mnist() if name.startswith("mnist ") else data
    kind, _, _ = name.removeprefix("mnist ").partition(" ")
    return {
        "step-100": lambda: step(compiled, images, 100),
        "step-1000": lambda: step(compiled, images, 1000),
        "cd-1": lambda: contrastive_divergence(compiled, images),
        "evaluation": lambda: evaluation(compiled, images),
    }[kind]()


def serve(case, version):
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
        answer = {"seconds": seconds, "version": version}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    compiled = sys.argv[1] == "compile"
    serve(lambda name: case(name, compiled), f"PyTorch {torch.__version__}")
