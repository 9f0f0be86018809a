"""Makes logistic_pca.json: logistic PCA of a small problem, by NumPy and SciPy.

    pip install numpy scipy && python logistic_pca.py > logistic_pca.json

Independent of the crate: the criterion is the textbook formula, the minimiser
SciPy's L-BFGS-B, and the starts are random: the best of several is what is
written, with how many of them reached it.
"""

import json
import sys

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

COMPONENTS, RIDGE, TRAIN, TEST, STARTS = 3, 1e-3, 40, 10, 6


def image(index):
    """A bright spot whose place depends on the index, in whole numbers."""
    row, column = np.divmod(np.arange(784), 28)
    distance = (row - 6 - 5 * index % 17) ** 2 + (column - 5 - 7 * index % 19) ** 2
    grain = (index * 31 + row * 17 + column * 7) % 23
    inside = (row >= 3) & (column >= 2)
    return np.where(inside, np.maximum(250 - 9 * distance, 0) + grain // 5, 0) / 255


def split(parameters):
    weights = 784 * COMPONENTS
    return (
        parameters[:weights].reshape(784, COMPONENTS),
        parameters[weights : 2 * weights].reshape(COMPONENTS, 784),
        parameters[2 * weights :],
    )


def outputs(parameters, mean, x):
    encoder, decoder, biases = split(parameters)
    return expit((x - mean) @ encoder @ decoder + biases)


def criterion(parameters, mean, x):
    encoder, decoder, biases = split(parameters)
    logits = (x - mean) @ encoder @ decoder + biases
    # -x ln(y) - (1 - x) ln(1 - y), with ln(y) = -ln(1 + exp(-logit)).
    cross = x * np.logaddexp(0, -logits) + (1 - x) * np.logaddexp(0, logits)
    delta = (expit(logits) - x) / len(x)
    gradient = [
        (x - mean).T @ (delta @ decoder.T),
        ((x - mean) @ encoder).T @ delta,
        delta.sum(axis=0),
    ]
    gradient = np.concatenate([part.ravel() for part in gradient])
    penalty = RIDGE / 2 * (parameters @ parameters)
    return cross.sum() / len(x) + penalty, gradient + RIDGE * parameters


def main():
    train = np.array([image(i) for i in range(TRAIN)])
    test = np.array([image(i) for i in range(TRAIN, TRAIN + TEST)])
    mean = train.mean(axis=0)
    random = np.random.default_rng(20060728)
    results = []
    for _ in range(STARTS):
        start = 0.1 * random.standard_normal(784 * (2 * COMPONENTS + 1))
        options = dict(maxiter=20000, maxfun=40000, maxcor=30, ftol=0, gtol=1e-9)
        found = minimize(criterion, start, (mean, train), "L-BFGS-B", True, options=options)
        results.append((found.fun, found.x))
        print(found.fun, np.abs(found.jac).max(), found.nit, file=sys.stderr)
    best, parameters = min(results, key=lambda result: result[0])

    def error(x):
        return ((outputs(parameters, mean, x) - x) ** 2).sum(axis=1).mean()

    json.dump(
        {
            "components": COMPONENTS,
            "ridge": RIDGE,
            "train": TRAIN,
            "test": TEST,
            "starts": STARTS,
            "starts_that_reached_the_best": int(sum(fun < best + 1e-9 for fun, _ in results)),
            "criterion": best,
            "train_error": error(train),
            "test_error": error(test),
            "outputs_of_first_test_image": list(outputs(parameters, mean, test[:1])[0]),
        },
        sys.stdout,
        indent=1,
    )
    print()


main()
