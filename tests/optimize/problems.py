"""Problems with published optima, written with skgrad's operators."""

import numpy as np

import skgrad


def rosenbrock(x):
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


def eq(fun):
    return {"type": "eq", "fun": fun}


def ineq(fun):
    return {"type": "ineq", "fun": fun}


# Hock, W. and Schittkowski, K. (1981). Test examples for nonlinear programming codes.
# Lecture Notes in Economics and Mathematical Systems 187, Springer: the numbers, starts
# and optima of the book (35 and 76 as fractions).
HOCK_SCHITTKOWSKI = {
    6: {
        "fun": lambda x: (1 - x[0]) ** 2,
        "x0": [-1.2, 1.0],
        "constraints": [eq(lambda x: 10 * (x[1] - x[0] ** 2))],
        "minimum": ([1.0, 1.0], 0.0),
    },
    7: {
        "fun": lambda x: skgrad.log(1 + x[0] ** 2) - x[1],
        "x0": [2.0, 2.0],
        "constraints": [eq(lambda x: (1 + x[0] ** 2) ** 2 + x[1] ** 2 - 4)],
        "minimum": ([0.0, np.sqrt(3)], -np.sqrt(3)),
    },
    26: {
        "fun": lambda x: (x[0] - x[1]) ** 2 + (x[1] - x[2]) ** 4,
        "x0": [-2.6, 2.0, 2.0],
        "constraints": [eq(lambda x: (1 + x[1] ** 2) * x[0] + x[2] ** 4 - 3)],
        "minimum": (None, 0.0),  # its Hessian is singular there
    },
    35: {
        "fun": lambda x: (
            9
            - (np.array([8.0, 6.0, 4.0]) * x).sum()
            + (np.array([2.0, 2.0, 1.0]) * x**2).sum()
            + 2 * x[0] * (x[1] + x[2])
        ),
        "x0": [0.5, 0.5, 0.5],
        "bounds": [(0, None)] * 3,
        "constraints": [ineq(lambda x: 3 - x[0] - x[1] - 2 * x[2])],
        "minimum": ([4 / 3, 7 / 9, 4 / 9], 1 / 9),
    },
    43: {
        "fun": lambda x: (
            (np.array([1.0, 1.0, 2.0, 1.0]) * x**2).sum()
            - (np.array([5.0, 5.0, 21.0, -7.0]) * x).sum()
        ),
        "x0": [0.0, 0.0, 0.0, 0.0],
        "constraints": [
            ineq(
                lambda x: skgrad.stack(
                    [
                        8 - (x**2).sum() - x[0] + x[1] - x[2] + x[3],
                        10 - (x**2).sum() - x[1] ** 2 - x[3] ** 2 + x[0] + x[3],
                        5 - (x[:3] ** 2).sum() - x[0] ** 2 - 2 * x[0] + x[1] + x[3],
                    ]
                )
            )
        ],
        "minimum": ([0.0, 1.0, 2.0, -1.0], -44.0),
    },
    71: {
        "fun": lambda x: x[0] * x[3] * x[:3].sum() + x[2],
        "x0": [1.0, 5.0, 5.0, 1.0],
        "bounds": [(1, 5)] * 4,
        "constraints": [
            ineq(lambda x: skgrad.prod(x) - 25),
            eq(lambda x: (x**2).sum() - 40),
        ],
        "minimum": ([1.0, 4.7429994, 3.8211503, 1.3794082], 17.0140173),
    },
    76: {
        "fun": lambda x: (
            (np.array([1.0, 0.5, 1.0, 0.5]) * x**2).sum()
            - x[2] * (x[0] - x[3])
            - (np.array([1.0, 3.0, -1.0, 1.0]) * x).sum()
        ),
        "x0": [0.5, 0.5, 0.5, 0.5],
        "bounds": [(0, None)] * 4,
        "constraints": [
            ineq(lambda x: 5 - x[0] - 2 * x[1] - x[2] - x[3]),
            ineq(lambda x: 4 - 3 * x[0] - x[1] - 2 * x[2] + x[3]),
            ineq(lambda x: x[1] + 4 * x[2] - 1.5),
        ],
        "minimum": ([3 / 11, 23 / 11, 0.0, 6 / 11], -103 / 22),
    },
}
