"""Trains a run that `adamix export` wrote in PyTorch and compares the errors.

Usage: torch_check.py FOLDER. Trains as many epochs as the export holds the
order of, from its start, and ends with an error where the reconstruction error
on the test images differs from the record's by more than 1e-3 of it after the
first epoch. (Later, training amplifies rounding.) Nothing here knows of the
Rust program but the exported files: forward, loss, gradients, rules and
schedules are PyTorch's or written out below.
"""

import json
import sys
from pathlib import Path

import numpy
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

folder = Path(sys.argv[1])
run = json.loads((folder / "run.json").read_text())
order = numpy.load(folder / "order.npy")
train = torch.from_numpy(numpy.load(folder / "train.npy")).float() / 255
test = torch.from_numpy(numpy.load(folder / "test.npy")).float() / 255
start = load_file(folder / "start.safetensors")
settings = run["settings"]["protocol"]["fine-tuning"]
batch = settings["batch-size"]
steps = order.shape[1] // batch

layers = range(len(run["activations"]))
weights = [start[f"{i}.weights"].clone().requires_grad_() for i in layers]
biases = [start[f"{i}.biases"].clone().requires_grad_() for i in layers]


def rate(schedule, update):
    """The learning rate after so many updates; `r` is in epochs."""
    kind, base = schedule["kind"], schedule["learning-rate"]
    if kind == "constant":
        return base
    t = update / steps if schedule["per"] == "update" else update // steps
    t /= schedule["r"]
    c = schedule.get("c")
    return base * {
        "power": lambda: (1 + t) ** -c,
        "exponential": lambda: 10**-t,
        "power-times-exponential": lambda: (1 + t) ** -c * 10**-t,
        "power-exponential": lambda: (1 + t) ** (-c * t),
    }[kind]()


def rule_of(group):
    """A function from a parameter, its state and the rate to the update."""
    name, k = group["rule"], group.get("k")

    def sgd(p, state, eta):
        p -= eta * p.grad

    def adamix_w1(p, state, eta):
        p -= eta * (p.grad / torch.sqrt(k + p.grad**2))

    def adagrad(p, state, eta):
        s = state.setdefault("s", torch.full_like(p, group["initial-accumulator"]))
        s += p.grad**2
        p -= eta * p.grad / torch.sqrt(k + s)

    rules = {"sgd": sgd, "adamix-w1": adamix_w1, "adagrad": adagrad}
    if name not in rules:
        sys.exit(f"this script knows {', '.join(rules)}, not {name}")
    return rules[name]


def forward(x):
    """The last layer's input sums."""
    for i in layers:
        x = x @ weights[i] + biases[i]
        if run["activations"][i] == "logistic" and i + 1 < len(layers):
            x = torch.sigmoid(x)
    return x


def loss(x):
    sums = forward(x)
    if settings["loss"] == "cross-entropy":
        total = F.binary_cross_entropy_with_logits(sums, x, reduction="sum")
    else:
        total = (torch.sigmoid(sums) - x).square().sum()
    return total / len(x) if settings["gradient"] == "mean" else total


def test_error():
    with torch.no_grad():
        squares = [(torch.sigmoid(forward(x)) - x).square().sum(dtype=torch.float64) for x in test.split(500)]
    return (sum(squares) / len(test)).item()


def compare(epoch):
    found, expected = test_error(), run["evaluations"][epoch]["test-error"]
    difference = abs(found - expected) / expected
    print(f"after {epoch} epochs: test error {found:.6f}, the record's {expected:.6f}, relative difference {difference:.1e}")
    return difference


groups = [(run["settings"][kind], parameters, {}) for kind, parameters in (("weights", weights), ("biases", biases))]
rules = [rule_of(group) for group, _, _ in groups]
differences = [compare(0)]
update = 0
for epoch, images in enumerate(torch.from_numpy(order.astype(numpy.int64))):
    for indices in images.split(batch):
        for p in weights + biases:
            p.grad = None
        loss(train[indices]).backward()
        with torch.no_grad():
            for rule, (group, parameters, states) in zip(rules, groups):
                eta = rate(group["schedule"], update)
                for i, p in enumerate(parameters):
                    rule(p, states.setdefault(i, {}), eta)
        update += 1
    differences.append(compare(epoch + 1))
if max(differences[:2]) > 1e-3:
    sys.exit("PyTorch does not agree with the record")
