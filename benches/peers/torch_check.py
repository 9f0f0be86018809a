"""Trains a run that `adamix export` wrote in PyTorch and compares the errors.

Usage: torch_check.py FOLDER. Trains as many epochs as the export holds the
order of, from its start, and ends with an error where the reconstruction error
on the test images differs from the record's by more than 1e-3 of it after the
first epoch. Training amplifies rounding, at large rates within an epoch: where
they differ, it is done again from starts that differ by about a rounding, and
the error says whether PyTorch differs from itself as much. Nothing here knows
of the Rust program but the exported files: forward, loss, gradients, rules and
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
train_images = torch.from_numpy(numpy.load(folder / "train.npy")).float() / 255
test = torch.from_numpy(numpy.load(folder / "test.npy")).float() / 255
start = load_file(folder / "start.safetensors")
settings = run["settings"]["protocol"]["fine-tuning"]
batch = settings["batch-size"]
steps = order.shape[1] // batch

layers = range(len(run["activations"]))
weights = [start[f"{i}.weights"].clone().requires_grad_() for i in layers]
biases = [start[f"{i}.biases"].clone().requires_grad_() for i in layers]
ROUNDING = 1e-7


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


def train(shift=0.0):
    """The test errors from the start on, its numbers times `1 + shift`."""
    groups = []
    for kind, parameters in (("weights", weights), ("biases", biases)):
        group = run["settings"][kind]
        groups.append((rule_of(group), group["schedule"], parameters, [{} for _ in layers]))
        with torch.no_grad():
            for i, p in enumerate(parameters):
                p.copy_(start[f"{i}.{kind}"] * (1 + shift))
    errors = [test_error()]
    update = 0
    for images in torch.from_numpy(order.astype(numpy.int64)):
        for indices in images.split(batch):
            for p in weights + biases:
                p.grad = None
            loss(train_images[indices]).backward()
            with torch.no_grad():
                for rule, schedule, parameters, states in groups:
                    eta = rate(schedule, update)
                    for p, state in zip(parameters, states):
                        rule(p, state, eta)
            update += 1
        errors.append(test_error())
    return errors


expected = [evaluation["test-error"] for evaluation in run["evaluations"]]
errors = train()
differences = [abs(ours - theirs) / theirs for ours, theirs in zip(errors, expected)]
for epoch, difference in enumerate(differences):
    print(
        f"after {epoch} epochs: test error {errors[epoch]:.6f}, the record's {expected[epoch]:.6f}, "
        f"relative difference {difference:.1e}"
    )
if differences[0] > 1e-3:
    sys.exit("PyTorch does not agree with the record about the start")
if differences[1] > 1e-3:
    shifted = [train(shift)[1] for shift in (-ROUNDING, ROUNDING)]
    itself = max(abs(error - errors[1]) / expected[1] for error in shifted)
    print(f"PyTorch from starts that differ by {ROUNDING} of them: relative difference {itself:.1e}")
    if differences[1] > 3 * itself:
        sys.exit("PyTorch does not agree with the record")
    sys.exit("undecided: this run amplifies rounding too much to be compared; try one of lower learning rates")
