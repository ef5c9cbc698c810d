"""Batches from datasets and loaders train as rows of arrays do, bit for bit."""

import threading
import tracemalloc
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from train.problems import make_problem

import skgrad
from skgrad import nn
from skgrad.core import tree_leaves
from skgrad.data import (
    ArrayDataset,
    DataLoader,
    SequenceDataset,
    StratifiedBatchSampler,
    WeightedRandomSampler,
    pad_collate,
    pad_groups,
)
from skgrad.exceptions import DTypeError, ParameterError, ShapeError
from skgrad.losses import FunctionLoss, LogLoss, SquaredError
from skgrad.optim import SGD, Adam, Constant, Cosine
from skgrad.train import (
    Data,
    Frame,
    Objective,
    Settings,
    StopReason,
    fit_stochastic,
    minus_loss,
)
from skgrad.train.data import epoch_rows
from skgrad.train.feed import feed_of

SETTINGS = Settings(learning_rate=0.05, batch_size=5, max_iter=3, tol=None, seed=3)
WORTH = "skgrad.executor.work.WORTH_COMPILING"
EXECUTORS = {"cpu": 0.0, "reference": np.inf}


def fit(problem, data=None, settings=SETTINGS, optimizer=None, **kwargs):
    objective, arrays, frame = problem
    data = arrays if data is None else data
    optimizer, schedule = optimizer or Adam(), kwargs.pop("schedule", Constant())
    return fit_stochastic(
        objective, optimizer, schedule, data, frame, settings, **kwargs
    )


def assert_same(one, other):
    leaves = zip(
        tree_leaves((one.state.params, one.state.state)),
        tree_leaves((other.state.params, other.state.state)),
        strict=True,
    )
    assert all(a.tobytes() == b.tobytes() for a, b in leaves)
    assert one.epochs == other.epochs
    assert one.state.step == other.state.step


# ----------------------------------------------------------------- the same batches


class Batches:
    """A batch sampler that gives the batches of the loop itself."""

    def __init__(self, data, settings):
        self.data, self.settings, self.epoch = data, settings, 0

    def __len__(self):
        return self.data.n_batches(self.settings.batch_size)

    def __iter__(self):
        s, self.epoch = self.settings, self.epoch + 1
        return self.data.batches(s.batch_size, s.seed, self.epoch - 1, s.shuffle)


class Rows:
    """A dataset that is none of ours."""

    def __init__(self, *arrays):
        self.arrays = arrays

    def __len__(self):
        return len(self.arrays[0])

    def __getitem__(self, rows):
        return tuple(array[rows] for array in self.arrays)


def stack(samples):
    return tuple(map(np.stack, zip(*samples, strict=True)))


def samples_of(data):
    arrays = (data.X, data.y, data.w, data.keys)
    return list(zip(*arrays, strict=True))


FEEDS = {
    "array dataset": lambda d, s=SETTINGS: ArrayDataset(d.X, d.y, d.w, d.keys),
    "not contiguous": lambda d, s=SETTINGS: ArrayDataset(
        np.asfortranarray(d.X), d.y, d.w, d.keys
    ),
    "dataset": lambda d, s=SETTINGS: Rows(d.X, d.y, d.w, d.keys),
    "sequence": lambda d, s=SETTINGS: SequenceDataset(samples_of(d)),
    "loader of arrays": lambda d, s=SETTINGS: DataLoader(
        ArrayDataset(d.X, d.y, d.w, d.keys), batch_sampler=Batches(d, s)
    ),
    "collating loader": lambda d, s=SETTINGS: DataLoader(
        ArrayDataset(d.X, d.y, d.w, d.keys), batch_sampler=Batches(d, s), collate=stack
    ),
}


@pytest.mark.parametrize("name", FEEDS)
@pytest.mark.parametrize("executor", EXECUTORS)
def test_bits_are_those_of_arrays(name, executor, monkeypatch):
    monkeypatch.setattr(WORTH, EXECUTORS[executor])
    problem = make_problem(dropout=0.3, alpha=0.01)
    expected = fit(problem, schedule=Cosine())
    assert (expected.executor, expected.n_traces) == (executor, 2)
    found = fit(problem, FEEDS[name](problem[1]), schedule=Cosine())
    assert (found.executor, found.n_traces) == (executor, 2)
    assert_same(found, expected)


@pytest.mark.parametrize("name", FEEDS)
def test_whole_batches_and_small_blocks_change_no_bit(name, monkeypatch):
    monkeypatch.setattr(WORTH, 0.0)
    problem = make_problem()
    settings = replace(SETTINGS, batch_size=99)
    expected = fit(problem, settings=settings)
    assert_same(fit(problem, FEEDS[name](problem[1], settings), settings), expected)
    small = fit(problem)
    monkeypatch.setattr("skgrad.train.feed.STACK_BYTES", 1)
    monkeypatch.setattr("skgrad.train.steps.RETURN_SECONDS", 1e-9)
    assert_same(fit(problem, FEEDS[name](problem[1])), small)


def test_rows_that_are_shuffled_ahead_are_the_same(monkeypatch):
    where = []

    def noted(*args):
        where.append(threading.current_thread())
        return epoch_rows(*args)

    monkeypatch.setattr("skgrad.train.data.epoch_rows", noted)
    data = Data(np.zeros((23, 2)), np.zeros(23), np.ones(23))
    settings = Settings(batch_size=5, seed=3)
    feed = feed_of(data, settings, "float64", ahead=True)
    for epoch in (0, 1, 2, 1, 7):  # a fit may go back, or on from an earlier one
        found = [group.rows for group in feed.groups(epoch)]
        for rows, expected in zip(found, data.epoch(5, 3, epoch), strict=True):
            np.testing.assert_array_equal(rows, expected)
    here = threading.current_thread()
    # Here the first, the two that nobody expected, and those they are compared with.
    assert sum(thread is here for thread in where) == 3 + 5


@pytest.mark.parametrize("name", FEEDS)
def test_the_validation_loss_is_that_of_arrays(name):
    objective, data, frame = problem = make_problem()
    state = fit(problem).state
    expected = minus_loss(objective, data, frame)(state)
    score = minus_loss(objective, FEEDS[name](data), frame)
    for _ in range(2):
        np.testing.assert_allclose(score(state), expected, rtol=1e-12)


@pytest.mark.parametrize("make", [FEEDS["array dataset"], FEEDS["dataset"]])
def test_a_fit_is_continued_with_the_epochs_that_follow(make):
    problem = make_problem(dropout=0.3)
    data = make(problem[1])
    whole = fit(problem, data, replace(SETTINGS, max_iter=4))
    half = fit(problem, data, replace(SETTINGS, max_iter=2))
    rest = fit(problem, data, replace(SETTINGS, max_iter=2), state=half.state)
    assert rest.state.params.tobytes() == whole.state.params.tobytes()


def test_without_weights_rows_count_alike():
    objective, data, frame = make_problem()
    ones = replace(data, w=np.ones(len(data)), keys=None)
    problem = objective, ones, frame
    for given in (ArrayDataset(data.X, data.y), Rows(data.X, data.y)):
        assert_same(fit(problem, given), fit(problem))


def test_weights_of_a_loader_multiply_the_losses():
    problem = make_problem()
    _, d, _ = problem
    doubled = DataLoader(Rows(d.X, d.y, 2 * d.w), 23)
    settings = replace(SETTINGS, max_iter=1, batch_size=23)
    steps = [
        fit(problem, data, settings, SGD()).state.params - problem[0].parameters()
        for data in (d, doubled)
    ]
    np.testing.assert_allclose(steps[1], 2 * steps[0], rtol=1e-12)


# ------------------------------------------------------------- samplers and shapes


def test_samplers_choose_what_is_learned():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 3))
    y = np.where(np.arange(400) < 200, X[:, 0], X[:, 1])
    problem = make_problem()[0], None, Frame.identity(3, "float64")
    settings = replace(SETTINGS, max_iter=60, learning_rate=0.02)

    def error(weights, rows):
        sampler = WeightedRandomSampler(weights, 100, random_state=0)
        loader = DataLoader(ArrayDataset(X, y), 20, sampler=sampler)
        state = fit(problem, loader, settings).state
        batch = {"X": X[rows], "y": y[rows], "w": np.ones(len(rows))}
        sums = problem[0].sums(state.params, {}, problem[0].hyper(problem[2]), batch)
        return sums["loss"].item() / len(rows)

    first, second = np.arange(200), np.arange(200, 400)
    only_first = np.where(np.arange(400) < 200, 1.0, 0.0)
    assert error(only_first, first) < 0.1 < 0.3 < error(only_first, second)
    assert error(1 - only_first, second) < 0.1


def test_stratified_batches():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 3))
    y = (X[:, 0] > 0.6).astype(float)
    objective = Objective(make_problem()[0].module, LogLoss(), None)
    sampler = StratifiedBatchSampler(y, 12, random_state=0)
    loader = DataLoader(ArrayDataset(X, y), batch_sampler=sampler)
    problem = objective, None, Frame.identity(3, "float64")
    done = fit(problem, loader, replace(SETTINGS, max_iter=20))
    assert (done.n_traces, done.state.step) == (1, 100)
    assert done.epochs[-1].objective < 0.7 * done.epochs[0].objective


class Flat(nn.Module):
    """A linear model of all elements of a sample."""

    def __init__(self, n_elements):
        super().__init__()
        self.linear = nn.Linear(n_elements, 1)

    def forward(self, x):
        return self.linear(skgrad.reshape(x, (x.shape[0], -1)))


def make_flat(shape):
    with skgrad.random_seed(0):
        module = Flat(int(np.prod(shape)))
    return Objective(module, SquaredError(), None)


@pytest.mark.parametrize("shape", [(4, 3), (3, 2, 2)], ids=["sequences", "images"])
@pytest.mark.parametrize("executor", EXECUTORS)
def test_inputs_of_more_than_two_axes(shape, executor, monkeypatch, rng):
    monkeypatch.setattr(WORTH, EXECUTORS[executor])
    X = rng.normal(size=(23, *shape))
    y, w = X[:, 0].reshape(23, -1).sum(axis=1), np.ones(23)
    flat = X.reshape(23, -1)
    expected = fit((make_flat(shape), Data(flat, y, w), Frame.identity(12, "float64")))
    problem = make_flat(shape), Data(X, y, w), Frame.identity(shape, "float64")
    assert problem[2].inputs() == {"offset": problem[2].offset}
    for data in (None, Rows(X, y), ArrayDataset(X, y)):
        found = fit(problem, data)
        assert found.executor == executor
        assert_same(found, expected)


def test_a_frame_scales_the_last_axis_or_each_place(rng):
    X, y = rng.normal(size=(23, 4, 3)), rng.normal(size=23)
    mean, scale = rng.normal(size=3), rng.uniform(0.5, 2.0, size=3)
    rest = (np.array(0.0), np.array(0.0), np.array(1.0))
    data = Data(X, y, np.ones(23))
    fits = [
        fit((make_flat((4, 3)), data, Frame(m, s, *rest)))
        for m, s in ((mean, scale), (np.tile(mean, (4, 1)), np.tile(scale, (4, 1))))
    ]
    assert_same(*fits)
    scaled = replace(data, X=(X - mean) * (1 / scale))
    whole = fit((make_flat((4, 3)), scaled, Frame.identity((4, 3), "float64")))
    np.testing.assert_allclose(fits[0].state.params, whole.state.params, rtol=1e-10)


class MeanOfWords(nn.Module):
    """A linear model of the mean of the elements of a sequence that are no padding."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(2, 1)

    def forward(self, x):
        padding = skgrad.isnan(x)
        total = skgrad.sum(skgrad.where(padding, 0.0, x), axis=1)
        count = skgrad.sum(skgrad.where(padding, 0.0, 1.0), axis=1)
        return self.linear(total / count)


def test_ragged_sequences_of_a_fixed_length_are_traced_once(rng):
    sequences = [rng.normal(size=(n, 2)) for n in rng.integers(1, 7, size=40)]
    y = [float(s.mean(axis=0) @ [1.0, -2.0] + 0.5) for s in sequences]
    dataset = SequenceDataset(list(zip(sequences, y, strict=True)))
    problem = (
        Objective(MeanOfWords(), SquaredError(), None),
        None,
        Frame.identity((6, 2), "float64"),
    )
    settings = replace(SETTINGS, max_iter=200, learning_rate=0.1)

    def trained(max_length):
        collate = partial(pad_collate, value=np.nan, max_length=max_length)
        loader = DataLoader(dataset, 8, shuffle=True, random_state=0, collate=collate)
        return fit(problem, loader, settings)

    fixed, ragged = trained(6), trained(None)
    assert fixed.n_traces == 1 < ragged.n_traces
    for done in (fixed, ragged):
        np.testing.assert_allclose(done.state.params, [1.0, -2.0, 0.5], atol=1e-3)


def test_many_shapes_are_warned_of():
    problem = make_problem()
    few, many = (
        DataLoader(ArrayDataset(X, Y), batch_sampler=[range(i) for i in range(1, n)])
        for n in (16, 20)
    )
    assert fit(problem, few).n_traces == 15
    with pytest.warns(RuntimeWarning, match="16 different shapes") as record:
        assert fit(problem, many).n_traces == 19
    assert len(record) == 1
    assert record[0].filename == __file__


class Scores(nn.Module):
    """A score per document, (n_queries, n_documents) of padded groups."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 1)

    def forward(self, x):
        return skgrad.squeeze(self.linear(x), -1)


def listwise(y_true, raw_prediction):
    """Return squared errors of the documents of a query, without the padding."""
    padding = skgrad.isnan(y_true)
    error = skgrad.where(padding, 0.0, y_true - raw_prediction)
    return skgrad.sum(error * error, axis=1)


def test_padded_groups_train_a_scorer(rng):
    X, qid = rng.normal(size=(60, 3)), rng.integers(0, 12, size=60)
    coefficients = np.array([1.0, -1.0, 0.5])
    groups = pad_groups(X, X @ coefficients, qid)
    n_queries, n_documents = groups.y.shape
    module = Scores()
    objective = Objective(module, FunctionLoss(listwise), n_documents)
    frame = Frame.identity((n_documents, 3), "float64")
    settings = replace(SETTINGS, max_iter=150, batch_size=n_queries)
    dataset = ArrayDataset(groups.X, groups.y)
    done = fit((objective, None, frame), dataset, settings)
    np.testing.assert_allclose(done.state.params[:3], coefficients, atol=1e-3)
    objective.store(done.state.params, {})
    scores = groups.unpad(module(skgrad.tensor(groups.X)))
    np.testing.assert_allclose(scores, X @ coefficients, atol=1e-2)


# -------------------------------------------------------------------------- memory


@pytest.mark.parametrize(
    "name", ["arrays", "array dataset", "columns", "dataset", "loader"]
)
def test_a_memory_mapped_dataset_stays_on_disk(name, tmp_path, monkeypatch):
    monkeypatch.setattr(WORTH, 0.0)
    n_rows, n_features = 2**14, 2**10  # 64 MB in float32, most of it a hole in the file
    path, shape = tmp_path / "X.bin", (n_rows, n_features)
    np.memmap(path, mode="w+", dtype=np.float32, shape=shape)[:, 0] = 1
    X = np.memmap(path, mode="r", dtype=np.float32, shape=shape)
    y = np.ones(n_rows, dtype=np.float32)
    columns = np.memmap(path, mode="r", dtype=np.float32, shape=shape, order="F")
    data = {
        "arrays": lambda: Data(X, y, y),
        "array dataset": lambda: ArrayDataset(X, y),
        "columns": lambda: ArrayDataset(columns, y),
        "dataset": lambda: Rows(X, y),
        "loader": lambda: DataLoader(Rows(X, y), 64, shuffle=True, random_state=0),
    }[name]()
    with nn.default_dtype("float32"):
        objective = Objective(nn.Linear(n_features, 1), SquaredError(), None)
    problem = objective, None, Frame.identity(n_features, "float32")
    monkeypatch.setattr("skgrad.train.feed.STACK_BYTES", 2**20)
    tracemalloc.start()
    done = fit(problem, data, replace(SETTINGS, batch_size=64, max_iter=1))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (done.executor, done.state.step) == ("cpu", 256)
    assert peak < 6 * 2**20


# --------------------------------------------------------------------------- errors


class Unreliable(Batches):
    """A sampler whose length is not that of its epochs."""

    def __init__(self, data, length):
        super().__init__(data, SETTINGS)
        self.length = length

    def __len__(self):
        return self.length


X, Y = np.ones((23, 3)), np.ones(23)
WRONG = {
    "inputs alone": (Rows(X), ParameterError, "Got 1 arrays"),
    "bare arrays": ((X, Y), ParameterError, "Got a tuple: wrap .*ArrayDataset"),
    "a column": (ArrayDataset(X, Y[:, None]), ShapeError, r"\(5, 1\).*y_true\[:, 0\]"),
    "another precision": (
        ArrayDataset(X, Y.astype(np.float32)),
        DTypeError,
        "y_true has dtype float32 and raw_prediction float64",
    ),
    "an array": (DataLoader(Rows(X), collate=len), ParameterError, "Got 1 arrays"),
    "five arrays": (Rows(X, Y, Y, Y, Y), ParameterError, "Got 5 arrays"),
    "other rows": (
        DataLoader(Rows(X, Y), collate=lambda samples: (X, Y[:3])),
        ShapeError,
        r"same number of rows. Got shapes \(23, 3\), \(3,\)",
    ),
    "nothing": (ArrayDataset(X[:0], Y[:0]), ParameterError, "nothing to train on"),
    **{
        f"a length of {n}": (
            DataLoader(
                Rows(X, Y), batch_sampler=Unreliable(make_problem()[1], length=n)
            ),
            ParameterError,
            f"has {n} batches .* gave 5",
        )
        for n in (4, 6)
    },
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_trained_on(name):
    data, error, match = WRONG[name]
    with pytest.raises(error, match=match):
        fit(make_problem(), data)


def test_an_interrupt_in_a_loader_keeps_the_best_epoch():
    _, d, _ = problem = make_problem()
    calls = []

    def collate(samples):
        calls.append(len(samples))
        if len(calls) == 12:  # in the third epoch of five batches
            raise KeyboardInterrupt
        return stack(samples)

    loader = DataLoader(ArrayDataset(d.X, d.y), 5, collate=collate)
    done = fit(problem, loader)
    assert done.reason is StopReason.INTERRUPTED
    assert len(done.epochs) == 2
    assert done.state.epoch == done.best_epoch
