"""Training loops of the libraries that bench_fit.py compares, a process for each.

    python benchmarks/peers.py worker NAME           requests on stdin, as lines of JSON
    python benchmarks/peers.py start NAME REQUEST    one whole fit from process start

All loops do the same: half the squared error, Adam with rate 1e-3, b1 0.9, b2 0.999,
eps 1e-8, the epoch's mean training loss accumulated beside the steps, the last partial
batch included. Weights and permutations come from a file that the caller made;
scikit-learn alone draws its own permutations. A process stays on the cores it is given
from before its first import, so that no thread pool finds another one.
"""

import contextlib
import json
import math
import os
import shutil
import statistics
import sys
import time
import warnings

RATE, B1, B2, EPS = 1e-3, 0.9, 0.999, 1e-8
SAMPLE_SECONDS = 0.2  # a sample has enough epochs to last so long
CHECKED_EPOCHS = 3  # whose losses are compared between the libraries
SEED = 0


def seconds(function, *arguments):
    start = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - start


def peak_megabytes():
    """Return the peak resident memory of this process.

    The kernel's own number: getrusage's also counts what the parent held at the fork.
    """
    with contextlib.suppress(OSError), open("/proc/self/status") as status:
        for line in status:
            if line.startswith("VmHWM"):
                return int(line.split()[1]) / 1024
    import resource  # noqa: PLC0415 - not on Windows

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def shuffle_seconds(function):
    """Return the median seconds of making one permutation; the first is warm-up."""
    function()
    return statistics.median(seconds(function) for _ in range(9))


class Task:
    """One model and its rows, read from the file made by the caller."""

    def __init__(self, request):
        import numpy as np  # noqa: PLC0415 - a start is timed from before its imports

        with np.load(request["file"]) as arrays:
            self.X, self.y, self.orders = (arrays[k] for k in ("X", "y", "orders"))
            count = sum(name.startswith("W") for name in arrays.files)
            self.layers = [(arrays[f"W{i}"], arrays[f"b{i}"]) for i in range(count)]
        self.hidden, self.batch = tuple(request["hidden"]), request["batch"]
        self.n = len(self.X)


class Loop:
    """A peer with a training loop of its own; subclasses give reset and epoch."""

    def prepare(self, task):
        """Return the loss curve and what the first epoch costs beyond a later one."""
        self.task = task
        self.build()
        self.reset()
        first = seconds(self.epoch, task.orders[0])
        later = min(seconds(self.epoch, task.orders[1]) for _ in range(2))
        self.count = max(1, min(50, round(SAMPLE_SECONDS / later)))
        return {"first_s": first - later, "losses": self.curve(CHECKED_EPOCHS)}

    def curve(self, epochs):
        self.reset()
        return [self.epoch(order) for order in self.task.orders[:epochs]]

    def sample(self):
        every = self.task.orders
        orders = [every[i % len(every)] for i in range(self.count)]
        cpu = time.process_time()
        took = seconds(lambda: [self.epoch(order) for order in orders])
        cpu = time.process_time() - cpu
        return {"epoch_s": took / self.count, "epochs": self.count, "cores": cpu / took}

    def whole_fit(self, request):
        """Return the losses of a whole fit from NumPy arrays."""
        self.task = Task(request)
        self.build()
        return self.curve(request["epochs"])


class Torch(Loop):
    """PyTorch as its tutorials write it."""

    fused = False

    def __init__(self):
        import torch  # noqa: PLC0415

        self.torch = torch
        torch.set_num_threads(1)

    def build(self):
        self.X, self.y = map(self.torch.from_numpy, (self.task.X, self.task.y))

    def reset(self):
        torch, modules = self.torch, []
        for W, b in self.task.layers:
            linear = torch.nn.Linear(W.shape[1], W.shape[0], dtype=self.X.dtype)
            linear.weight.data, linear.bias.data = map(torch.tensor, (W, b))
            modules += [linear, torch.nn.ReLU()]
        self.model = torch.nn.Sequential(*modules[:-1])
        self.adam = torch.optim.Adam(
            self.model.parameters(), lr=RATE, betas=(B1, B2), eps=EPS, fused=self.fused
        )
        self.loss, self.step = self.mean_loss, self.adam.step

    def mean_loss(self, X, y):
        mse = self.torch.nn.functional.mse_loss
        return 0.5 * mse(self.model(X).squeeze(1), y)

    def epoch(self, order):
        batch, order = self.task.batch, self.torch.from_numpy(order)
        total = self.torch.zeros((), dtype=self.X.dtype)
        # One gather per epoch and views of it: faster than a gather per batch.
        parts = zip(self.X[order].split(batch), self.y[order].split(batch), strict=True)
        for X, y in parts:
            self.adam.zero_grad()
            loss = self.loss(X, y)
            loss.backward()
            self.step()
            total += loss.detach() * len(y)
        return total.item() / self.task.n

    def shuffle(self):
        return shuffle_seconds(lambda: self.torch.randperm(self.task.n))


class TorchFused(Torch):
    """The same with Adam's update in one fused kernel."""

    fused = True


class TorchCompile(Torch):
    """Loss, its gradient and Adam's update through torch.compile, shapes static.

    The compiled update was faster than the fused kernel beside a compiled loss.
    """

    def __init__(self):
        if not any(map(shutil.which, filter(None, [os.environ.get("CXX"), "g++"]))):
            raise ImportError("torch.compile needs a C++ compiler, and g++ is not here")
        super().__init__()

    def build(self):
        super().build()
        self.torch.compiler.reset()
        self.compiled = None

    def reset(self):
        if self.compiled is None:
            super().reset()
            self.loss = self.torch.compile(self.mean_loss, dynamic=False)
            self.step = self.torch.compile(self.adam.step)
            self.compiled = True
        else:  # a new module would compile anew: start again in the same memory
            self.restore()

    def restore(self):
        torch, layers = self.torch, self.task.layers
        with torch.no_grad():
            for linear, (W, b) in zip(self.model[::2], layers, strict=True):
                linear.weight.copy_(torch.from_numpy(W))
                linear.bias.copy_(torch.from_numpy(b))
            for state in self.adam.state.values():
                for part in state.values():
                    part.zero_()


class Jax(Loop):
    """One jitted function per epoch: a scan over full batches, a step for the rest."""

    def __init__(self):
        import jax  # noqa: PLC0415

        self.jax = jax

    def build(self):
        jax = self.jax
        jax.config.update("jax_enable_x64", self.task.X.dtype.itemsize == 8)
        self.X, self.y = map(jax.numpy.asarray, (self.task.X, self.task.y))
        self.run = jax.jit(self.whole_epoch, donate_argnums=0)

    def reset(self):
        jnp, tree_map = self.jax.numpy, self.jax.tree.map
        params = tree_map(jnp.array, self.task.layers)
        zeros = [tree_map(jnp.zeros_like, params) for _ in range(2)]
        self.carry = (params, *zeros, jnp.zeros((), self.task.X.dtype))

    def mean_loss(self, params, X, y):
        *inner, (W_last, b_last) = params
        for W, b in inner:
            X = self.jax.nn.relu(X @ W.T + b)
        return 0.5 * self.jax.numpy.mean(((X @ W_last.T + b_last)[:, 0] - y) ** 2)

    def step(self, carry, X, y):
        params, mu, nu, t = carry
        tree_map, sqrt = self.jax.tree.map, self.jax.numpy.sqrt
        loss, g = self.jax.value_and_grad(self.mean_loss)(params, X, y)
        t = t + 1
        mu = tree_map(lambda m, g: B1 * m + (1 - B1) * g, mu, g)
        nu = tree_map(lambda v, g: B2 * v + (1 - B2) * g * g, nu, g)
        # 1 - b**t, to the last digit in float32 too, as in the other libraries.
        c1, c2 = (-self.jax.numpy.expm1(t * math.log(b)) for b in (B1, B2))
        params = tree_map(
            lambda p, m, v: p - RATE * (m / c1) / (sqrt(v / c2) + EPS), params, mu, nu
        )
        return (params, mu, nu, t), loss * len(y)

    def whole_epoch(self, carry, X, y, order):
        batch = self.task.batch
        cut = self.task.n // batch * batch
        full, rest = order[:cut].reshape(-1, batch), order[cut:]
        carry, losses = self.jax.lax.scan(
            lambda carry, rows: self.step(carry, X[rows], y[rows]), carry, full
        )
        total = losses.sum()
        if len(rest):
            carry, last = self.step(carry, X[rest], y[rest])
            total = total + last
        return carry, total / self.task.n

    def epoch(self, order):
        self.carry, loss = self.run(self.carry, self.X, self.y, order)
        return float(loss)

    def shuffle(self):
        key, n = self.jax.random.key(SEED), self.task.n
        draw = self.jax.jit(lambda key: self.jax.random.permutation(key, n))
        return shuffle_seconds(lambda: draw(key).block_until_ready())


class Estimator:
    """A peer behind fit, timed as the difference of a longer and a shorter fit.

    So a fit's own costs (validation, trace, publishing) are outside of the epoch, and
    reported beside it as what the shorter fit took beyond its epochs.
    """

    def prepare(self, task):
        self.task, self.executors = task, set()
        for epochs in (1, 2):
            self.fit(epochs)
        later = min(seconds(self.fit, 1), seconds(self.fit, 2) / 2)
        count = max(2, min(50, round(SAMPLE_SECONDS / later)))
        # Few epochs of little work do not compile: go on to as many as do, at most to
        # those of an ordinary fit, so that both fits run on its executor.
        for self.short in (1, 2, 5, 10, 20):
            self.long, self.executors = self.short + count, set()
            self.fit(self.short)
            self.fit(self.long)
            if self.executors <= {"cpu"}:
                break
        return {"losses": self.curve(CHECKED_EPOCHS)}

    def curve(self, epochs):
        return list(map(float, self.fit(epochs).loss_curve_))

    def sample(self):
        # Others have run since: what a first fit then finds cold would be taken off.
        self.fit(self.short)
        self.executors = set()
        cpu, count = time.process_time(), self.long - self.short
        short, long = seconds(self.fit, self.short), seconds(self.fit, self.long)
        cores = (time.process_time() - cpu) / (short + long)
        epoch = (long - short) / count
        return {
            "epoch_s": epoch,
            "epochs": count,
            "beyond_s": short - self.short * epoch,
            "cores": cores,
            "executors": sorted(self.executors),
        }

    def whole_fit(self, request):
        self.task, self.executors = Task(request), set()
        return self.curve(request["epochs"])

    def settings(self, epochs):
        return {
            "hidden_layer_sizes": self.task.hidden,
            "batch_size": self.task.batch,
            "max_iter": epochs,
            "random_state": SEED,
        }


class Skgrad(Estimator):
    def __init__(self):
        from skgrad import MLPRegressor  # noqa: PLC0415

        self.kind = MLPRegressor

    def fit(self, epochs):
        model = self.kind(**self.settings(epochs), tol=None, standardize=False)
        model.fit(self.task.X, self.task.y)
        self.executors.add(model.fit_report_["executor"])
        return model

    def shuffle(self):
        from skgrad.train import Data  # noqa: PLC0415

        data = Data(self.task.X, self.task.y, self.task.y)
        return shuffle_seconds(lambda: list(data.batches(self.task.batch, SEED, 0)))


class SkgradTrain:
    """The training loop under the estimators, as the peers are: no scikit-learn."""

    def __init__(self):
        from skgrad import losses, nn, optim, train  # noqa: PLC0415

        self.losses, self.nn, self.optim, self.train = losses, nn, optim, train

    def whole_fit(self, request):
        import numpy as np  # noqa: PLC0415

        nn, optim, train = self.nn, self.optim, self.train
        task, layers = Task(request), []
        for W, b in task.layers:
            layer = nn.Linear(*W.T.shape).to(dtype=W.dtype)
            layer.load_state_dict({"weight": W, "bias": b})
            layers += [layer, nn.ReLU()]
        fit = train.fit_stochastic(
            train.Objective(
                nn.Sequential(*layers[:-1]), self.losses.SquaredError(), None
            ),
            optim.Adam(),
            optim.Constant(),
            train.Data(task.X, task.y, np.ones_like(task.y)),
            train.Frame.identity(task.X.shape[1], task.X.dtype),
            train.Settings(
                learning_rate=RATE,
                batch_size=task.batch,
                max_iter=request["epochs"],
                tol=None,
                seed=SEED,
            ),
        )
        self.executors = {fit.executor}
        return [epoch.objective for epoch in fit.epochs]


class ScikitLearn(Estimator):
    def __init__(self):
        from sklearn.exceptions import ConvergenceWarning  # noqa: PLC0415
        from sklearn.neural_network import MLPRegressor  # noqa: PLC0415

        warnings.simplefilter("ignore", ConvergenceWarning)
        self.kind = MLPRegressor

    def make(self, epochs):
        return self.kind(
            **self.settings(epochs), tol=0, n_iter_no_change=10**6, alpha=0
        )

    def fit(self, epochs):
        return self.make(epochs).fit(self.task.X, self.task.y)

    def curve(self, epochs):
        """Return the losses from the weights all start from; its own shuffle stays."""
        model = self.make(1).set_params(warm_start=True).fit(self.task.X, self.task.y)
        model.coefs_ = [W.T.copy() for W, _ in self.task.layers]
        model.intercepts_ = [b.copy() for _, b in self.task.layers]
        model.set_params(max_iter=epochs).fit(self.task.X, self.task.y)
        return list(map(float, model.loss_curve_[-epochs:]))

    def whole_fit(self, request):
        self.task = Task(request)
        return list(map(float, self.fit(request["epochs"]).loss_curve_))

    def shuffle(self):
        import numpy as np  # noqa: PLC0415
        from sklearn.utils import shuffle  # noqa: PLC0415

        state, rows = np.random.RandomState(SEED), np.arange(self.task.n)
        return shuffle_seconds(lambda: shuffle(rows, random_state=state))


KINDS = {
    "skgrad": Skgrad,
    "scikit-learn": ScikitLearn,
    "PyTorch": Torch,
    "PyTorch, fused Adam": TorchFused,
    "torch.compile": TorchCompile,
    "JAX": Jax,
}


STARTED = {"skgrad.train": SkgradTrain, **KINDS}


def answered(peer, request):
    if request["do"] == "prepare":
        answer = peer.prepare(Task(request))
        return answer | {"shuffle_s": peer.shuffle()}
    return peer.sample() if request["do"] == "sample" else {"peak_mb": peak_megabytes()}


def worker(name):
    """Answer requests, a line of JSON each, until stdin closes."""
    answers, sys.stdout = sys.stdout, sys.stderr  # what libraries print is no answer
    try:
        peer, answer = KINDS[name](), {}
    except ImportError as error:
        answer = {"missing": str(error)}
    print(json.dumps(answer), file=answers, flush=True)
    for line in sys.stdin:
        try:
            answer = answered(peer, json.loads(line))
        except Exception as error:  # noqa: BLE001 - reported in the table
            answer = {"missing": f"{type(error).__name__}: {error}"[:300]}
        print(json.dumps(answer), file=answers, flush=True)


def start(name, request):
    """Print what a whole fit took from the launch of this process."""
    answer, begin = {}, time.perf_counter()
    if name == "skgrad":  # what its user has paid already
        import sklearn.neural_network  # noqa: F401, PLC0415
    answer["sklearn_s"] = time.perf_counter() - begin
    try:
        peer = STARTED[name]()
    except ImportError as error:
        print(json.dumps({"missing": str(error)}))
        return
    imported = time.perf_counter()
    answer["losses"] = peer.whole_fit(request)
    answer["wall_s"] = time.time() - request["launched"]
    answer["import_s"] = imported - begin
    answer["fit_s"] = time.perf_counter() - imported
    answer["peak_mb"] = peak_megabytes()
    answer["executors"] = sorted(getattr(peer, "executors", []))
    if request.get("again"):
        answer["again_s"] = seconds(peer.whole_fit, request)
    print(json.dumps(answer))


def main():
    cores = os.environ.get("BENCH_CORES")
    if cores and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, map(int, cores.split(",")))
    if sys.argv[1] == "worker":
        worker(sys.argv[2])
    else:
        start(sys.argv[2], json.loads(sys.argv[3]))


if __name__ == "__main__":
    main()
