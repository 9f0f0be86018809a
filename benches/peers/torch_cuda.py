"""Trains replicas of the study's autoencoder on a CUDA device in PyTorch.

Usage: torch_cuda.py METHOD REPLICAS, METHOD one of
    eager   one replica after another, Adagrad(fused=True), as most people write it
    graph   the same, each replica's step captured as a CUDA graph
    batched all replicas at once: parameters with a leading axis and torch.bmm,
            one foreach Adagrad, the whole step captured as a CUDA graph
            (what torch.func.vmap comes to, written out)
Prints one JSON object: steps a second, those of all replicas added up. f32, TF32
off, batches of 100, cross-entropy, AdaGrad, random images: speed does not depend
on them.
"""

import json
import sys
import time

import torch
import torch.nn.functional as F

SIZES = [784, 1000, 500, 250, 30, 250, 500, 1000, 784]
BATCH, STEPS = 100, 50
method, replicas = sys.argv[1], int(sys.argv[2])
device = torch.device("cuda")
torch.backends.cuda.matmul.allow_tf32 = False
torch.manual_seed(0)


def parameters(*lead):
    return [
        p.to(device).requires_grad_()
        for i, o in zip(SIZES, SIZES[1:])
        for p in (0.1 * torch.randn(*lead, i, o), torch.zeros(*lead, *([1] if lead else []), o))
    ]


def loss(params, x):
    y = x
    for layer in range(len(SIZES) - 1):
        w, b = params[2 * layer], params[2 * layer + 1]
        y = torch.baddbmm(b, y, w) if w.dim() == 3 else torch.addmm(b, y, w)
        if layer < len(SIZES) - 2 and layer != 3:
            y = torch.sigmoid(y)
    errors = F.binary_cross_entropy_with_logits(y, x, reduction="none")
    return errors.sum() / BATCH


def stepper(params, x, optimizer):
    def step():
        optimizer.zero_grad(set_to_none=False)
        loss(params, x).backward()
        optimizer.step()

    return step


def captured(step):
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    return graph.replay


def batched_step():
    params = parameters(replicas)
    x = torch.rand(replicas, BATCH, SIZES[0], device=device)
    sums = [torch.zeros_like(p) for p in params]

    def step():
        grads = torch.autograd.grad(loss(params, x), params)
        with torch.no_grad():
            torch._foreach_addcmul_(sums, grads, grads)
            roots = torch._foreach_add(sums, 1.0)
            torch._foreach_sqrt_(roots)
            torch._foreach_addcdiv_(params, grads, roots, -0.1)

    return step


if method == "batched":
    steps = [captured(batched_step())]
else:
    steps = []
    for _ in range(replicas):
        params = parameters()
        x = torch.rand(BATCH, SIZES[0], device=device)
        # A graph needs the count of steps on the device.
        options = {"lr": 0.1, "eps": 1e-10, "foreach": True} if method == "graph" else {"lr": 0.1, "fused": True}
        if method == "graph":
            options["capturable"] = True
        try:
            optimizer = torch.optim.Adagrad(params, **options)
        except TypeError:
            options.pop("capturable", None)
            options.pop("fused", None)
            optimizer = torch.optim.Adagrad(params, **options)
        except RuntimeError:  # no fused Adagrad on CUDA in this version
            optimizer = torch.optim.Adagrad(params, lr=0.1, foreach=True)
        step = stepper(params, x, optimizer)
        steps.append(captured(step) if method == "graph" else step)

best = float("inf")
for round in range(4):
    torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(STEPS):
        for step in steps:
            step()
    torch.cuda.synchronize()
    if round:
        best = min(best, (time.perf_counter() - start) / STEPS)
print(
    json.dumps(
        {
            "method": method,
            "replicas": replicas,
            "steps-per-second": replicas / best,
            "torch": torch.__version__,
            "device": torch.cuda.get_device_name(),
        }
    )
)
