"""The tables and the figure of bench_quantile.py, written from its JSON.

python benchmarks/quantile_tables.py [DIR]
"""

import json
import math
import sys
from pathlib import Path

from fit_tables import COLOURS, about_lines, number, spread, table

EXACT = 1e-9  # how far an exact objective may lie above the smallest, relatively
# How many times skgrad's seconds another should take at least: rows, columns, whose.
FASTER = [
    (10_000, 50, "scikit-learn", 200),
    (10_000, 50, "statsmodels", 15),
    (10_000, 50, "best quantreg", 3),
    (100_000, 50, "best quantreg", 6),
    (1_000_000, 20, "best quantreg", 6),
]
NINE_LEVELS = 4  # times the seconds of one level that nine should take at most

SIZE_NOTE = """\
Level 0.9, Gaussian rows, noise of Student's t with 3 degrees of freedom, float64, an
intercept, no penalty. Seconds of a fit on one core and one thread, median of at most
{rounds} interleaved samples, fewer where they took long; compilation is not in them.
statsmodels' fit includes standard errors. quantreg is called on the matrix (rq.fit), no
formula in the time, which R gives in whole milliseconds. Control: a product of three
500 x 500 matrices outside all libraries.
"""

RATIO_NOTE = """\
Seconds over skgrad's (above 1 skgrad is faster). Best quantreg: its fastest method of
exact objective.
"""

EXCESS_NOTE = """\
How far the mean pinball loss lies above the smallest of all libraries, relatively,
computed alike by NumPy; exact is at most {exact:g}. Gap: skgrad's own duality_gap_.
"""

LEVEL_NOTE = """\
Levels 0.1 to 0.9 beside level 0.9 alone. Nine fits: a fit of skgrad for each level.
quantreg's pfn takes level after level, its pfnb all at once. Excess: of the objective,
at the worst level.
"""

SMALL_NOTE = """\
Medians of {repetitions} interleaved fits. Excess: of the objective, as above.
"""

MEMORY_NOTE = """\
Beyond X: the peak resident memory (VmHWM) of a fresh process in the fit of all rows,
less what was resident (VmRSS) before it, X, y and the libraries included. First: the
first fit of the process, {warm_rows:,} rows, no compiled kernels on disk; again: the
same fit once more. Median of as many processes: {processes}.
"""

TARGET_NOTE = """\
What was aimed at, and what was measured.
"""


def size_of(row):
    return f"{row['n_rows']:,} x {row['n_features']}"


def time_of(row, name):
    return row["libraries"].get(name, {}).get("fit_s")


def names_of(rows):
    """Return the libraries of all rows, in their order."""
    return list(dict.fromkeys(name for row in rows for name in row["libraries"]))


def best_quantreg(row):
    """Return name and seconds of quantreg's fastest exact method, or (None, None)."""
    exact = {
        name: library["fit_s"]
        for name, library in row["libraries"].items()
        if name.startswith("quantreg") and library["excess"] <= EXACT
    }
    return min(exact.items(), key=lambda pair: pair[1]) if exact else (None, None)


def peer_time(row, name):
    return best_quantreg(row)[1] if name == "best quantreg" else time_of(row, name)


def over(theirs, ours):
    return theirs / ours if theirs and ours else None


def scientific(value):
    return "" if value is None else f"{value:.0e}"


def milliseconds(value):
    return number(None if value is None else 1000 * value)


def worse_than_exact(results):
    """Return where skgrad's objective lies above another's by more than rounding."""
    return [
        f"{section}, {size_of(row)}, {name}: {library['excess']:.1e}"
        for section in ("sizes", "levels", "small")
        for row in results.get(section, {}).get("rows", [])
        for name, library in row["libraries"].items()
        if name.startswith("skgrad") and not library["excess"] <= EXACT  # or nan
    ]


# --- sections -------------------------------------------------------------------------


def size_lines(section):
    rows = section["rows"]
    names = names_of(rows)
    yield from ["## One level, seconds per fit", "", *about_lines(section)]
    yield SIZE_NOTE.format(rounds=section["about"]["rounds"])
    cells = []
    for row in rows:
        times = [number(time_of(row, k)) for k in names]
        cells.append([size_of(row), *times, milliseconds(row["control_s"])])
    yield from table(["rows and columns", *names, "control, ms"], cells)
    for name, reason in section["missing"].items():
        yield from [f"Missing: {name}: {reason}", ""]
    yield from ["![Seconds per fit](bench_quantile.png)", ""]
    yield from ratio_lines(rows, names[1:])
    yield from excess_lines(rows, names)


def ratio_lines(rows, names):
    yield RATIO_NOTE
    cells = []
    for row in rows:
        ours, (method, best) = time_of(row, "skgrad"), best_quantreg(row)
        ratios = [number(over(time_of(row, k), ours)) for k in names]
        cells.append([size_of(row), *ratios, number(over(best, ours)), method or ""])
    yield from table(["rows and columns", *names, "best quantreg", "which"], cells)


def excess_lines(rows, names):
    yield EXCESS_NOTE.format(exact=EXACT)
    cells = []
    for row in rows:
        libraries = row["libraries"]
        excess = [scientific(libraries.get(k, {}).get("excess")) for k in names]
        gap = scientific(libraries["skgrad"].get("duality_gap"))
        cells.append([size_of(row), *excess, gap])
    yield from table(["rows and columns", *names, "gap"], cells)


def level_lines(section):
    rows = section["rows"]
    names = names_of(rows)
    yield from ["## Nine levels, seconds per fit", "", *about_lines(section)]
    yield LEVEL_NOTE
    cells, excess = [], []
    for row in rows:
        times = [number(time_of(row, k)) for k in names]
        times += [number(nine_over_one(row)), milliseconds(row["control_s"])]
        cells.append([size_of(row), *times])
        each = [row["libraries"][k]["excess"] for k in names]
        excess.append([size_of(row), *map(scientific, each)])
    head = ["rows and columns", *names, "nine over one", "control, ms"]
    yield from table(head, cells)
    yield from table(["excess", *names], excess)


def nine_over_one(row):
    return over(time_of(row, "skgrad, nine"), time_of(row, "skgrad, one"))


def small_lines(section):
    yield from ["## Small fits, ms", "", *about_lines(section)]
    yield SMALL_NOTE.format(repetitions=section["repetitions"])
    cells = []
    for row in section["rows"]:
        both = ("skgrad", "scikit-learn")
        ours, theirs = (time_of(row, name) for name in both)
        excess = [scientific(row["libraries"][name]["excess"]) for name in both]
        times = [milliseconds(ours), milliseconds(theirs), number(theirs / ours)]
        control = milliseconds(row["control_s"])
        cells.append([size_of(row), *times, " ".join(excess), control])
    head = ["rows and columns", "skgrad", "scikit-learn", "ratio", "excess of both"]
    yield from table([*head, "control"], cells)


def memory_lines(section):
    yield from ["## Memory of a fit", "", *about_lines(section)]
    counts = {k: section[k] for k in ("warm_rows", "processes")}
    yield MEMORY_NOTE.format(**counts)
    cells = [
        [
            size_of(row),
            number(row["X_mb"]),
            number(row["beyond_mb"]),
            number(row["beyond_mb"] / row["X_mb"]),
            *(number(row[key]) for key in ("fit_s", "first_s", "again_s")),
        ]
        for row in section["rows"]
    ]
    head = ["rows and columns", "X, MB", "beyond X, MB", "over X", "fit, s"]
    yield from table([*head, "first, s", "again, s"], cells)


# --- targets --------------------------------------------------------------------------


def targets(results):
    """Yield what was aimed at, what was measured, and whether that is enough."""
    yield from faster_targets(results.get("sizes", {"rows": []})["rows"])
    for row in results.get("levels", {"rows": []})["rows"]:
        ratio, what = nine_over_one(row), f"{size_of(row)}: nine levels over one"
        yield what, f"at most {NINE_LEVELS}", ratio, ratio <= NINE_LEVELS
    rows = results.get("small", {"rows": []})["rows"]
    if rows:
        ratios = [over(time_of(r, "scikit-learn"), time_of(r, "skgrad")) for r in rows]
        least = f"smallest, {size_of(rows[ratios.index(min(ratios))])}"
        what = f"up to 1,000 rows: scikit-learn over skgrad ({least})"
        yield what, "at least 1", min(ratios), min(ratios) >= 1
    wrong = worse_than_exact(results)
    worst = max(our_excesses(results), default=0.0)
    yield "skgrad's objective over the smallest", f"at most {EXACT:g}", worst, not wrong


def faster_targets(rows):
    for n_rows, n_features, name, times in FASTER:
        for row in rows:
            if (row["n_rows"], row["n_features"]) == (n_rows, n_features):
                ratio = over(peer_time(row, name), time_of(row, "skgrad"))
                met = None if ratio is None else ratio >= times
                what = f"{size_of(row)}: {name} over skgrad"
                yield what, f"at least {times}", ratio, met


def our_excesses(results):
    for section in ("sizes", "levels", "small"):
        for row in results.get(section, {}).get("rows", []):
            for name, library in row["libraries"].items():
                if name.startswith("skgrad"):
                    yield library["excess"]


def target_lines(results):
    yield from ["## Targets", "", TARGET_NOTE]
    cells = []
    for what, aim, measured, met in targets(results):
        small = measured is not None and measured < 1e-3
        shown = scientific(measured) if small else number(measured)
        cells.append([what, aim, shown, {None: "", True: "yes", False: "no"}[met]])
    yield from table(["what", "target", "measured", "met"], cells)


LINES = {
    "sizes": size_lines,
    "levels": level_lines,
    "small": small_lines,
    "memory": memory_lines,
}


# --- the figure -----------------------------------------------------------------------

DRAWN = {
    "skgrad": COLOURS["skgrad"],
    "scikit-learn": COLOURS["scikit-learn"],
    "statsmodels": COLOURS["PyTorch"],
    "best quantreg": COLOURS["JAX"],
}


def groups_of(results):
    """Return (title, rows) of each part of the figure: by columns, and the large."""
    small = results.get("small", {"rows": []})["rows"]
    widths = dict.fromkeys(row["n_features"] for row in small)
    found = [
        (f"{p} columns", [r for r in small if r["n_features"] == p]) for p in widths
    ]
    large = results.get("sizes", {"rows": []})["rows"]
    return found + [("larger", large)] * bool(large)


def figure(results, path):
    """Draw the seconds per fit on a log scale, a line per library and group."""
    import matplotlib as mpl  # noqa: PLC0415 - the table needs no figure

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    fig, ax = plt.subplots(figsize=(8.5, 4.8), layout="constrained")
    ends, ticks, labels, begin = {}, [], [], 0.0
    above = {"xycoords": ("data", "axes fraction"), "ha": "center", "va": "bottom"}
    for title, rows in groups_of(results):
        places = [begin + i for i in range(len(rows))]
        ends |= lines_of_group(ax, places, rows)
        ax.annotate(title, (sum(places) / len(places), 1.03), **above)
        ticks += places
        large = title == "larger"
        labels += [tick_label(row, large) for row in rows]
        begin = places[-1] + 1.7
    ax.set_yscale("log")
    label(ax, ends, ticks[-1] + 0.25)
    ax.set_xticks(ticks, labels)
    ax.set_xlim(ticks[0] - 0.4, ticks[-1] + 2.6)
    ax.set(xlabel="rows", ylabel="seconds per fit, level 0.9, float64")
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(axis="y", color="0.9", lw=0.6)
    fig.savefig(path, dpi=150)
    plt.close(fig)


def tick_label(row, large):
    n_rows = row["n_rows"]
    short = {1_000: "k", 1_000_000: "M"}
    unit = max((u for u in short if n_rows >= u), default=1)
    text = f"{n_rows // unit}{short.get(unit, '')}"
    return f"{text}\nx {row['n_features']}" if large else text


def lines_of_group(ax, places, rows):
    """Draw a group, and return where each library's line ends."""
    ends = {}
    for name, colour in DRAWN.items():
        found = zip(places, (peer_time(row, name) for row in rows), strict=True)
        points = [(x, took) for x, took in found if took]
        if points:
            weight = 2.2 if name == "skgrad" else 1
            style = {"lw": weight, "ms": 5, "zorder": 2 + weight}
            ax.plot(*zip(*points, strict=True), "o-", color=colour, **style)
            ends[name] = points[-1]
    return ends


def label(ax, ends, x):
    """Write each library's name right of its last point, no two on one another."""
    low, high = map(math.log10, ax.get_ylim())
    logs = spread([math.log10(y) for _, y in ends.values()], 0.06 * (high - low))
    for name, place in zip(ends, logs, strict=True):
        weight = "bold" if name == "skgrad" else "normal"
        style = {"color": DRAWN[name], "va": "center", "weight": weight}
        ax.text(x, 10**place, name, **style)
    ax.set_ylim(10**low, 10 ** max(high, *logs))


def write(results, folder):
    """Write bench_quantile.md and bench_quantile.png, and print the former."""
    lines = ["# Linear quantile regression beside its peers", ""]
    lines += ["Written by `python benchmarks/bench_quantile.py` from "]
    lines[-1] += "bench_quantile.json."
    lines += ["", *target_lines(results)]
    for name, lines_of in LINES.items():
        if name in results:
            lines += lines_of(results[name])
    text = "\n".join(lines).rstrip() + "\n"
    (folder / "bench_quantile.md").write_text(text, encoding="utf-8")
    print(text)
    if "sizes" in results or "small" in results:
        try:
            figure(results, folder / "bench_quantile.png")
        except ImportError as error:
            print(f"No figure: {error}")


if __name__ == "__main__":
    default = Path(__file__).parent / "results"
    folder = Path(sys.argv[1]) if sys.argv[1:] else default
    write(json.loads((folder / "bench_quantile.json").read_text()), folder)
