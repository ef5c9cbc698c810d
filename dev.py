"""Run the main job or the tests of skgrad from a bare clone.

    python3 dev.py quickstart        install skgrad and run examples/quickstart.py
    python3 dev.py test [ARGS]       install what the tests need, run linters and tests

Nothing has to be prepared: each command makes its own virtual environment (.venv in
the clone, or --venv DIR) and leaves the system's Python alone. What it installed is
remembered, so a second run starts at once. Arguments that dev.py does not know are
handed on, to pytest or to the example: `python3 dev.py test -k quantile -x`.
"""

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.abspath(__file__))
OLDEST = (3, 11)
NEWEST = (3, 14)  # newer ones are tried only where there is no other
STAMP = "skgrad-dev.json"

# Set for other installations, these would lead pip and Python out of the environment.
MISLEADING = (
    "PYTHONHOME",
    "PYTHONPATH",
    "PIP_PREFIX",
    "PIP_ROOT",
    "PIP_TARGET",
    "PIP_USER",
    "__PYVENV_LAUNCHER__",
)

PROBE = """
import importlib.util, json, sys
try:
    import ensurepip, venv
    can_make = bool(ensurepip.version())
except Exception:
    can_make = False
has = lambda name: importlib.util.find_spec(name) is not None
path = getattr(sys, "_base_executable", None) or sys.executable  # not a venv's own
print(json.dumps({"path": path, "version": sys.version_info[:2], "venv": can_make,
    "pip": has("pip"), "virtualenv": has("virtualenv")}))
"""

CANNOT_MAKE = """\
this Python cannot make a virtual environment: {path} ({version})
has no ensurepip module, and neither virtualenv nor uv is installed. Do one of these,
then run the same command again:
    {sudo}apt install python{version}-venv                  (Debian, Ubuntu)
    pipx install virtualenv                            (or uv: needs no root)"""

TOO_OLD = """\
skgrad needs Python {oldest} or newer, and none was found here: this one is
{version}, {path}. Do one of these, then run the same command again:
    install a newer Python
    install uv, which fetches a Python itself
If a newer Python is installed under another name, run dev.py with it."""


class SetupError(Exception):
    """A reason to stop, told to the user without a traceback."""


def say(text):
    """Print one line of progress, before whatever a child process prints next."""
    print(">> " + text, flush=True)


def dotted(version):
    """Return ``(3, 11)`` as ``"3.11"``."""
    return ".".join(str(part) for part in version)


# ------------------------------------------------------------------ finding a Python


def probe(python):
    """Return what the interpreter `python` is and can do, or None if it is broken."""
    try:
        answer = subprocess.run(
            [python, "-c", PROBE],
            check=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=clean_environment(),
            timeout=120,
        )
        return json.loads(answer.stdout.decode())
    except (OSError, ValueError, subprocess.SubprocessError):
        return None


def candidates():
    """Yield interpreters to consider: the running one, then those on the PATH."""
    yield sys.executable
    for minor in range(NEWEST[1], OLDEST[1] - 1, -1):
        yield shutil.which("python3.{}".format(minor))
    yield shutil.which("python3")
    yield shutil.which("python")


def find_python():
    """Return the facts of the first suitable interpreter, or None."""
    newer = None
    for python in candidates():
        facts = probe(python) if python else None
        if facts is None or tuple(facts["version"]) < OLDEST:
            continue
        if tuple(facts["version"]) <= NEWEST:
            return facts
        newer = newer or facts
    return newer


# ------------------------------------------------------- making a virtual environment


def clean_environment(venv=None):
    """Return the environment variables for a child process, inside `venv` if given."""
    env = {name: text for name, text in os.environ.items() if name not in MISLEADING}
    if venv is not None:
        env["VIRTUAL_ENV"] = venv
        env["PATH"] = bin_of(venv) + os.pathsep + env.get("PATH", "")
    return env


def bin_of(venv):
    """Return the folder of the environment's programs."""
    return os.path.join(venv, "Scripts" if os.name == "nt" else "bin")


def python_of(venv):
    """Return the path of the environment's interpreter."""
    return os.path.join(bin_of(venv), "python.exe" if os.name == "nt" else "python")


def ways_to_make(facts, venv):
    """Return the possible ways to make `venv`, each a list of commands, best first."""
    virtualenv, uv = shutil.which("virtualenv"), shutil.which("uv")
    if facts is None:
        return [[[uv, "venv", "--seed", "--python", "3.12", venv]]] if uv else []
    python = facts["path"]
    bare = [python, "-m", "venv", "--without-pip", venv]
    fill = [python, "-m", "pip", "--python", python_of(venv), "install", "-q", "pip"]
    ways = [
        (facts["venv"], [[python, "-m", "venv", venv]]),
        (facts["virtualenv"], [[python, "-m", "virtualenv", "-q", venv]]),
        (virtualenv, [[virtualenv, "-q", "-p", python, venv]]),
        (uv, [[uv, "venv", "-q", "--seed", "--python", python, venv]]),
        (facts["pip"], [bare, fill]),
    ]
    return [commands for possible, commands in ways if possible]


def why_not(facts):
    """Return the advice for a machine on which no environment can be made."""
    if facts is None:
        version, path = dotted(sys.version_info[:3]), sys.executable
        return TOO_OLD.format(oldest=dotted(OLDEST), version=version, path=path)
    if facts["venv"]:
        return "The virtual environment could not be made; see the errors above."
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    version, path = dotted(facts["version"]), facts["path"]
    return CANNOT_MAKE.format(version=version, path=path, sudo="" if root else "sudo ")


def has_pip(venv):
    """Tell whether the environment's interpreter runs and finds its own pip."""
    facts = probe(python_of(venv))
    return facts is not None and facts["pip"] and tuple(facts["version"]) >= OLDEST


def remove(venv):
    """Delete an environment, and nothing that is not one."""
    if not os.path.isdir(venv) or not os.listdir(venv):
        return
    if not os.path.exists(os.path.join(venv, "pyvenv.cfg")):
        raise SetupError(
            "{} exists and is not a virtual environment. Delete it, or choose "
            "another folder with --venv DIR.".format(venv)
        )
    shutil.rmtree(venv)


def make(venv):
    """Make the virtual environment `venv` in the first way that works."""
    facts = find_python()
    if facts is not None:
        say("making {} with Python {}".format(venv, dotted(facts["version"])))
    for commands in ways_to_make(facts, venv):
        if all(call(command) == 0 for command in commands) and has_pip(venv):
            return
        say("that failed: " + " ".join(commands[0]))
        shutil.rmtree(venv, ignore_errors=True)
    raise SetupError(why_not(facts))


def ensure(venv, recreate):
    """Make `venv` unless it is there and works."""
    if not recreate and has_pip(venv):
        return
    if os.path.exists(os.path.join(venv, "pyvenv.cfg")):
        reason = "--recreate" if recreate else "it does not run or has no pip"
        say("removing {} ({})".format(venv, reason))
    remove(venv)
    make(venv)


# ------------------------------------------------------------------------- installing


def call(command, venv=None):
    """Run a command in the root of the clone and return its exit status."""
    try:
        return subprocess.call(command, cwd=ROOT, env=clean_environment(venv))
    except OSError as error:
        say("{}: {}".format(command[0], error))
        return 1


def fingerprint():
    """Return a hash of what an editable installation of this clone depends on."""
    with open(os.path.join(ROOT, "pyproject.toml"), "rb") as file:
        return hashlib.sha256(ROOT.encode() + file.read()).hexdigest()


def read_stamp(venv):
    """Return which extras were installed in `venv`, each with its fingerprint."""
    try:
        with open(os.path.join(venv, STAMP)) as file:
            return json.load(file)
    except (OSError, ValueError):
        return {}


def install(venv, extra):
    """Install this clone with `extra` in `venv`, unless that was done before."""
    stamp = read_stamp(venv)
    if stamp.get(extra) == fingerprint():
        say("{} has skgrad[{}]".format(venv, extra))
        return
    say("installing skgrad[{}] (the first time takes minutes)".format(extra))
    command = [python_of(venv), "-m", "pip", "install", "--disable-pip-version-check"]
    command += [] if sys.stdout.isatty() else ["--quiet"]
    if call([*command, "--editable", ".[{}]".format(extra)], venv) != 0:
        raise SetupError("pip could not install skgrad[{}]; see above.".format(extra))
    stamp[extra] = fingerprint()
    with open(os.path.join(venv, STAMP), "w") as file:
        json.dump(stamp, file, indent=1)


# ----------------------------------------------------------------------- the commands


def quickstart(venv, arguments):
    """Run examples/quickstart.py and return its exit status."""
    install(venv, "plot")
    script = os.path.join("examples", "quickstart.py")
    say("python " + " ".join([script, *arguments]))
    return call([python_of(venv), script, *arguments], venv)


def test(venv, arguments):
    """Run the linters, then pytest; return 0 only if all of them passed."""
    install(venv, "test")
    python = python_of(venv)
    linters = [
        [python, "-m", "ruff", "check"],
        [python, "-m", "ruff", "format", "--check"],
        [python, "-m", "mypy"],
        [os.path.join(bin_of(venv), "lint-imports")],
    ]
    failed = [name_of(linter) for linter in linters if not passes(linter, venv)]
    say(" ".join(["pytest", *arguments]))
    status = call([python, "-m", "pytest", *arguments], venv)
    if failed:
        say("FAILED besides the tests: " + ", ".join(failed))
    return status or int(bool(failed))


def name_of(command):
    """Return a command as the user would type it in an activated environment."""
    return " ".join([os.path.basename(command[0]), *command[1:]])


def passes(linter, venv):
    """Run one linter, say how it went, and tell whether it passed."""
    say(name_of(linter))
    start = time.time()
    status = call(linter, venv)
    word = "passed" if status == 0 else "FAILED"
    say("{} in {:.1f} s".format(word, time.time() - start))
    return status == 0


def main():
    """Read the command line, prepare the environment and run the command."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("command", choices=["quickstart", "test"])
    parser.add_argument("--venv", metavar="DIR", default=os.path.join(ROOT, ".venv"))
    parser.add_argument("--recreate", action="store_true", help="start from nothing")
    known, arguments = parser.parse_known_args()
    venv = os.path.abspath(known.venv)
    try:
        ensure(venv, known.recreate)
        run = quickstart if known.command == "quickstart" else test
        return run(venv, arguments)
    except SetupError as error:
        print("dev.py: {}".format(error), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
