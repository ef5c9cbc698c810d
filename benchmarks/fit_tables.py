"""The table and the figure of bench_fit.py, written from its JSON.

python benchmarks/fit_tables.py [DIR]
"""

import json
import math
import statistics
import sys
from pathlib import Path

# Colours by P. Tol, "Colour schemes" (2021), bright: told apart by the colour-blind.
COLOURS = {
    "skgrad": "#EE6677",
    "scikit-learn": "#4477AA",
    "PyTorch": "#CCBB44",
    "PyTorch, fused Adam": "#AA3377",
    "torch.compile": "#66CCEE",
    "JAX": "#228833",
}
LOOPS = [name for name in COLOURS if name not in ("skgrad", "scikit-learn")]

MLP_NOTE = """\
20,000 x 20, the last partial batch included, one core and one thread each, median of
{rounds} interleaved samples. PyTorch and JAX get skgrad's initial weights and
permutations ready made; skgrad's time includes making its permutations, scikit-learn's
includes its own shuffle. skgrad and scikit-learn: a longer fit less a shorter one, over
the epochs between; the others: epochs of a loop already compiled. Best: the fastest
peer's time over skgrad's. Products: the matrix products of the epoch alone (NumPy or
SciPy, the faster), and skgrad's time over theirs. Control: a product of three 500 x 500
matrices outside all libraries.
"""

MEAN_NOTE = """\
A library's time over skgrad's (above 1 skgrad is faster): geometric mean over the
{count} float32 rows, and the smallest.
"""

COST_NOTE = """\
What the seconds per epoch leave out. First: the first epoch of a new shape beyond a
later one, in seconds, so compilation; what skgrad's costs in a fresh process stands
below, as its kernels serve all sizes. Beyond: what a warm fit costs beyond its epochs,
ms; a difference of two fits, so noise may make it negative.
"""

PROCESS_NOTE = """\
Shuffle: the library's own way to one permutation, which the times above include for
skgrad and scikit-learn only. Cores: processor time over time, the check that nothing
ran beside. Memory: of the process that ran all rows.
"""

LOSS_NOTE = """\
Mean training loss of the first and of the third epoch, and skgrad's executor. From the
same weights, in the same order, PyTorch and JAX must agree with skgrad to 2e-3 and 0.1
(float64: 1e-5 and 1e-5): rounding grows where the loss falls steeply. scikit-learn
starts from the same weights here and shuffles otherwise: 0.05 in the first epoch.
"""

START_NOTE = """\
20 epochs, hidden 100, batch 256, float32, from the launch of the interpreter until the
weights are there: imports, compilation, data read from a file. All caches of compiled
code are empty unless said. skgrad is MLPRegressor, whose import brings scikit-learn;
skgrad.train is the training loop beneath it, called as PyTorch's and JAX's are.
"""

FIRST_NOTE = """\
First fit of skgrad in a fresh process, seconds: all that comes after importing
scikit-learn (importing skgrad, a fit of 10 epochs), and that without the fit's own work
(the time of the same fit once more).
"""

LINEAR_NOTE = """\
Seconds of a whole fit, medians of interleaved fits. Gradient: max-norm of the gradient
of the mean objective at the solution, computed by NumPy. Logistic (L2, alpha 1e-4):
each at its loosest tol = 10**-k that reaches a gradient of {target:g}; liblinear
penalises the intercept, so solves another problem and is left out.
"""

SMALL_NOTE = """\
MLPRegressor().fit of both with their defaults, but for a fixed number of epochs.
"""


def name_of(row):
    return f"{'x'.join(map(str, row['hidden']))}, {row['batch']}, {row['dtype']}"


def number(value, digits=3):
    """Return a number to so many significant digits, never with an exponent."""
    if value is None:
        return ""
    decimals = digits - 1 - math.floor(math.log10(abs(value))) if value else 0
    return f"{value:.{max(0, decimals)}f}"


def table(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(map(str, line)) + " |" for line in lines] + [""]


def time_of(row, name):
    return row["libraries"][name].get("epoch_s")


def ratios(rows, name):
    """Return a library's times over skgrad's, in the float32 rows that have both."""
    pairs = [
        (time_of(r, name), time_of(r, "skgrad"))
        for r in rows
        if r["dtype"] == "float32"
    ]
    return [theirs / ours for theirs, ours in pairs if theirs and ours]


def geometric_means(section):
    """Return library -> (geometric mean of its ratios, how many)."""
    found = {
        name: ratios(section["rows"], name) for name in COLOURS if name != "skgrad"
    }
    return {k: (statistics.geometric_mean(v), len(v)) for k, v in found.items() if v}


def disagreements(results):
    return [
        f"{name} at {name_of(row)}: {library['losses']}"
        for row in results.get("mlp", {}).get("rows", [])
        for name, library in row["libraries"].items()
        if not library.get("same_loss", True)
    ]


def about_lines(section):
    about = section["about"]
    versions = ", ".join(f"{k} {v}" for k, v in about["versions"].items())
    quick = " A quick run." if about["quick"] else ""
    return [f"{versions}. {about['cpu']}, {about['n_cores']} cores.{quick}", ""]


# --- networks -------------------------------------------------------------------------


def epoch_rows(rows):
    for row in rows:
        ours = time_of(row, "skgrad")
        peers = [time_of(row, k) for k in COLOURS if k != "skgrad" and time_of(row, k)]
        best = number(min(peers) / ours, 2) if peers and ours else ""
        yield [
            name_of(row),
            row["steps"],
            *(number(time_of(row, name)) for name in COLOURS),
            best,
            number(row["products_s"]),
            number(ours / row["products_s"], 3) if ours else "",
            number(1000 * row["control_s"]),
        ]


def mlp_lines(section):
    rows = section["rows"]
    yield from ["## Networks, seconds per epoch", "", *about_lines(section)]
    yield MLP_NOTE.format(rounds=section["about"]["rounds"])
    head = ["hidden, batch, dtype", "steps", *COLOURS, "best"]
    head += ["products", "over products", "control, ms"]
    yield from table(head, epoch_rows(rows))
    yield from mean_lines(section)
    yield from ["![Seconds per epoch](bench_fit.png)", ""]
    yield from cost_lines(section)
    yield from loss_lines(rows)


def mean_lines(section):
    means = geometric_means(section)
    count = max((n for _, n in means.values()), default=0)
    yield MEAN_NOTE.format(count=count)
    rows = [
        [k, number(mean), number(min(ratios(section["rows"], k)))]
        for k, (mean, _) in means.items()
    ]
    yield from table(["library", "geometric mean", "smallest"], rows)
    for name, reason in section["missing"].items():
        yield from [f"Missing: {name}: {reason}", ""]


def cost_lines(section):
    yield COST_NOTE
    head = ["hidden, batch, dtype", *(f"first: {k}" for k in LOOPS)]
    head += ["beyond: skgrad", "beyond: scikit-learn"]
    rows = []
    for row in section["rows"]:
        libraries = row["libraries"]
        firsts = [number(libraries[k].get("first_s"), 2) for k in LOOPS]
        beyond = [libraries[k].get("beyond_s") for k in ("skgrad", "scikit-learn")]
        rows.append([name_of(row), *firsts, *(milliseconds(b) for b in beyond)])
    yield from table(head, rows)
    libraries = section["rows"][0]["libraries"]
    rows = [
        [
            "shuffle, ms",
            *(milliseconds(libraries[k].get("shuffle_s")) for k in COLOURS),
        ],
        ["cores", *(number(libraries[k].get("cores"), 2) for k in COLOURS)],
        ["peak memory, MB", *(number(section["peak_mb"][k], 4) for k in COLOURS)],
    ]
    yield PROCESS_NOTE
    yield from table(["", *COLOURS], rows)


def milliseconds(value):
    return "" if value is None else number(1000 * value, 2)


def loss_lines(rows):
    yield LOSS_NOTE
    cells = []
    for row in rows:
        libraries = row["libraries"]
        executors = "/".join(libraries["skgrad"].get("executors", []))
        cells.append(
            [name_of(row), executors, *(loss_cell(libraries[k]) for k in COLOURS)]
        )
    yield from table(["hidden, batch, dtype", "executor", *COLOURS], cells)


def loss_cell(library):
    if "losses" not in library:
        return "missing"
    mark = "" if library.get("same_loss") else " **differs**"
    first, last = (library["losses"][i] for i in (0, -1))
    return f"{first:.6f}, {last:.6f}{mark}"


# --- the other sections ---------------------------------------------------------------


def start_lines(section):
    yield from ["## A whole fit from process start", "", *about_lines(section)]
    yield START_NOTE
    rows = [
        [
            row["library"],
            row["cores"],
            *(number(row.get(k)) for k in ("wall_s", "import_s", "fit_s")),
            number(row.get("peak_mb"), 4),
            number((row.get("losses") or [None])[-1]),
            "/".join(row.get("executors", [])) or row.get("missing", ""),
        ]
        for row in section["rows"]
    ]
    head = ["library", "on", "seconds", "import", "fit", "peak MB", "loss"]
    yield from table([*head, "executor"], rows)
    yield FIRST_NOTE
    rows = []
    for row in section["first"]:
        for state in ("cold", "warm"):
            if "again_s" in (one := row[state]):
                beyond = one["beyond_sklearn_s"]
                rows.append(
                    [
                        name_of(row),
                        f"{state} cache",
                        number(one["sklearn_s"]),
                        number(beyond),
                        number(beyond - one["again_s"]),
                        "/".join(one["executors"]),
                    ]
                )
    head = ["hidden, batch, dtype", "cache", "import scikit-learn", "beyond it"]
    yield from table([*head, "beyond it and the work", "executor"], rows)


def linear_lines(section):
    squares, logistic = section["least_squares"], section["logistic"]
    yield from [f"## Linear models, {section['n_rows']:,} x 50, float64", ""]
    yield from about_lines(section)
    yield LINEAR_NOTE.format(target=logistic["target"])
    for rows in (squares["rows"], logistic["rows"]):
        ours = rows[0]["fit_s"]
        cells = [
            [
                row["model"],
                number(row["fit_s"]),
                number(row["fit_s"] / ours),
                f"{row['gradient_norm']:.1e}",
                f"{row['tol']:.0e}" if "tol" in row else "",
                row.get("n_iter", ""),
                row.get("executor", ""),
            ]
            for row in rows
        ]
        head = ["model", "seconds", "over skgrad", "gradient", "tol", "n_iter"]
        yield from table([*head, "executor"], cells)
    controls = [number(1000 * part["control_s"]) for part in (squares, logistic)]
    yield from [f"Control: {controls[0]} and {controls[1]} ms.", ""]


def small_lines(section):
    shape = f"{section['n_rows']} x {section['n_features']}"
    yield from [f"## A small fit: {shape}, float64", "", *about_lines(section)]
    yield SMALL_NOTE
    rows = [
        [
            row["epochs"],
            *(milliseconds(row[k]) for k in ("skgrad", "scikit-learn")),
            number(row["scikit-learn"] / row["skgrad"]),
            " ".join(f"{score:.3f}" for score in row["R2"]),
            row["executor"],
            milliseconds(row["control"]),
        ]
        for row in section["rows"]
    ]
    head = ["epochs", "skgrad, ms", "scikit-learn, ms", "ratio", "R2 of both"]
    yield from table([*head, "executor", "control, ms"], rows)


LINES = {
    "mlp": mlp_lines,
    "start": start_lines,
    "linear": linear_lines,
    "small": small_lines,
}


# --- the figure -----------------------------------------------------------------------


def spread(values, gap):
    """Return the values in their order, at least ``gap`` apart, moved little."""
    order = sorted(range(len(values)), key=values.__getitem__)
    placed = [values[i] for i in order]
    for _ in range(200):
        for i in range(len(placed) - 1):
            missing = gap - (placed[i + 1] - placed[i])
            if missing > 0:
                placed[i] -= missing / 2
                placed[i + 1] += missing / 2
    return [place for _, place in sorted(zip(order, placed, strict=True))]


def figure(section, path):
    """Draw the seconds per epoch on a log scale, a line per library and width."""
    import matplotlib as mpl  # noqa: PLC0415 - the table needs no figure

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    rows = [row for row in section["rows"] if row["dtype"] == "float32"]
    places = positions(rows)
    fig, ax = plt.subplots(figsize=(8.5, 4.8), layout="constrained")
    ends = {}
    for name, colour in COLOURS.items():
        for hidden in dict.fromkeys(tuple(row["hidden"]) for row in rows):
            points = [
                (x, time_of(row, name))
                for x, row in zip(places, rows, strict=True)
                if tuple(row["hidden"]) == hidden and time_of(row, name)
            ]
            if points:
                weight = 2.2 if name == "skgrad" else 1
                style = {"lw": weight, "ms": 5, "zorder": 2 + weight}
                ax.plot(*zip(*points, strict=True), "o-", color=colour, **style)
                ends[name] = points[-1][1]
    ax.set_yscale("log")
    label(ax, ends, places[-1] + 0.2)
    ax.set_xticks(places, [f"{row['batch']}" for row in rows])
    ax.set_xlim(places[0] - 0.4, places[-1] + 2.4)
    ax.set(xlabel="batch size", ylabel="seconds per epoch, 20,000 x 20, float32")
    for hidden in dict.fromkeys(tuple(row["hidden"]) for row in rows):
        own = [
            x
            for x, row in zip(places, rows, strict=True)
            if tuple(row["hidden"]) == hidden
        ]
        where = {"xycoords": ("data", "axes fraction"), "ha": "center", "va": "bottom"}
        text = "hidden " + " x ".join(map(str, hidden))
        ax.annotate(text, (sum(own) / len(own), 1.03), **where)
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(axis="y", color="0.9", lw=0.6)
    fig.savefig(path, dpi=150)
    plt.close(fig)


def positions(rows):
    """Return the horizontal positions of the rows: a gap between widths."""
    groups = list(dict.fromkeys(tuple(row["hidden"]) for row in rows))
    return [i + 0.7 * groups.index(tuple(row["hidden"])) for i, row in enumerate(rows)]


def label(ax, ends, x):
    """Write each library's name beside its last point, no two on one another."""
    low, high = map(math.log10, ax.get_ylim())
    logs = spread([math.log10(y) for y in ends.values()], 0.05 * (high - low))
    for name, place in zip(ends, logs, strict=True):
        weight = "bold" if name == "skgrad" else "normal"
        style = {"color": COLOURS[name], "va": "center", "weight": weight}
        ax.text(x, 10**place, name, **style)
    ax.set_ylim(10**low, 10 ** max(high, *logs))


def write(results, folder):
    """Write bench_fit.md and bench_fit.png, and print the former."""
    lines = ["# Fits beside scikit-learn, PyTorch and JAX", ""]
    lines += ["Written by `python benchmarks/bench_fit.py` from bench_fit.json.", ""]
    for name, lines_of in LINES.items():
        if name in results:
            lines += lines_of(results[name])
    text = "\n".join(lines).rstrip() + "\n"
    (folder / "bench_fit.md").write_text(text, encoding="utf-8")
    print(text)
    if "mlp" in results:
        try:
            figure(results["mlp"], folder / "bench_fit.png")
        except ImportError as error:
            print(f"No figure: {error}")


if __name__ == "__main__":
    default = Path(__file__).parent / "results"
    folder = Path(sys.argv[1]) if sys.argv[1:] else default
    write(json.loads((folder / "bench_fit.json").read_text()), folder)
