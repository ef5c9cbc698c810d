"""The cache of object code: shared, checked, bounded, and never in the way of a fit.

The functions compiled return a number, so that a test sees which one it was given.
"""

import ctypes
import errno
import functools
import io
import os
import shutil
import stat
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import skgrad
from skgrad.backend.cpu import cache
from skgrad.backend.store import HEADER, Store, location

DAY = 86_400


def returning(number):
    return f"define i32 @kernel() {{ ret i32 {number} }}"


def call(address):
    return ctypes.CFUNCTYPE(ctypes.c_int32)(address)()


def never():
    raise AssertionError("the object code should have been found")


@pytest.fixture
def forget(monkeypatch):
    """Return a function that makes this process as good as a new one."""

    def forget():
        monkeypatch.setattr(cache, "_addresses", {})
        monkeypatch.setattr(cache, "_counts", {"compiled": 0, "loaded": 0})
        monkeypatch.setattr("skgrad.backend.store._warnings", [])
        monkeypatch.setattr(cache, "_store", functools.cache(cache._store.__wrapped__))

    forget()
    return forget


@pytest.fixture
def place(forget, monkeypatch, tmp_path):
    """Return the directory of the cache, empty."""
    path = tmp_path / "below" / "kernels"
    monkeypatch.setenv("SKGRAD_CACHE_DIR", str(path))
    return path


def counts():
    return {"compiled": cache.n_compiled(), "loaded": cache.n_loaded()}


def run(program, **environment):
    """Return what a program prints in a process of its own, in which warnings fail."""
    paths = [str(Path(skgrad.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(program)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


# --------------------------------------------------------------- what a process finds


def test_two_processes_share_the_directory(tmp_path):
    program = """
        from skgrad.backend.cpu import cache
        for key in "abc":
            cache.function(key, lambda: "define void @kernel() { ret void }")
        print(cache.n_compiled(), cache.n_loaded())
    """
    place = str(tmp_path / "kernels")
    assert run(program, SKGRAD_CACHE_DIR=place) == "3 0"
    assert run(program, SKGRAD_CACHE_DIR=place) == "0 3"


def test_a_key_has_its_function_from_source_from_memory_and_from_disk(place, forget):
    addresses = [cache.function(str(n), lambda n=n: returning(n)) for n in (7, 8)]
    assert [call(address) for address in addresses] == [7, 8]
    assert [cache.function(key, never) for key in ("7", "8")] == addresses
    assert counts() == {"compiled": 2, "loaded": 0}
    forget()
    assert [call(cache.function(key, never)) for key in ("8", "7")] == [8, 7]
    assert counts() == {"compiled": 0, "loaded": 2}


def test_files_are_named_by_key_processor_and_generator(place, monkeypatch):
    names = {cache._name("a"), cache._name("b")}
    with monkeypatch.context() as patch:
        patch.setattr(cache.engine, "target", lambda: "another processor")
        names.add(cache._name("a"))
    with monkeypatch.context() as patch:
        patch.setattr(cache, "_fingerprint", lambda: "another generator")
        names.add(cache._name("a"))
    assert len(names) == 4
    cache.function("a", lambda: returning(1))
    assert [file.name for file in place.iterdir()] == [cache._name("a") + ".kernel"]


def test_the_generator_is_known_by_the_content_of_its_files(monkeypatch, tmp_path):
    fingerprint = cache._fingerprint.__wrapped__
    package = tmp_path / "backend"
    shutil.copytree(Path(cache.__file__).parents[1], package)
    monkeypatch.setattr(cache, "__file__", str(package / "cpu" / "cache.py"))
    seen = [fingerprint(), fingerprint()]
    for changed in ("base.py", "cpu/engine.py", "mathematics/elementary.py"):
        (package / changed).write_text((package / changed).read_text() + "\n")
        seen.append(fingerprint())
    (package / "cpu" / "engine.py").rename(package / "cpu" / "engines.py")
    seen.append(fingerprint())
    assert seen[0] == seen[1]
    assert len(set(seen)) == 5


def test_an_error_of_the_source_passes_and_leaves_nothing_behind(place):
    def fail():
        raise ValueError("no such instruction")

    with pytest.raises(ValueError, match="no such instruction"):
        cache.function("a", fail)
    assert call(cache.function("a", lambda: returning(5))) == 5


def test_the_source_of_a_kernel_may_ask_for_another(place):
    def source():
        return returning(1 + call(cache.function("inner", lambda: returning(1))))

    assert call(cache.function("outer", source)) == 2


def test_threads_that_ask_for_one_key_compile_it_once(place):
    barrier = threading.Barrier(8)
    asked = []

    def source():
        asked.append(threading.get_ident())
        time.sleep(0.01)  # leaves the others time to ask too
        return returning(9)

    def ask(_):
        barrier.wait(timeout=60)
        return cache.function("a", source)

    with ThreadPoolExecutor(8) as pool:
        addresses = set(pool.map(ask, range(8)))
    assert len(addresses) == len(asked) == 1
    assert counts() == {"compiled": 1, "loaded": 0}


# ---------------------------------------------------------------- what files may hold


def _flipped(content):
    return content[:-1] + bytes([content[-1] ^ 1])


DAMAGES = {
    "empty": lambda content: b"",
    "header cut": lambda content: content[:20],
    "code missing": lambda content: content[: HEADER.size],
    "code cut": lambda content: content[:-1],
    "too long": lambda content: content + b"\0",
    "bit flipped": _flipped,
    "no mark": lambda content: b"SKGRAD" + content[6:],
    "another version": lambda content: content[:7] + b"\xff" + content[8:],
    "wrong length": lambda content: content[:8] + bytes(8) + content[16:],
    "wrong checksum": lambda content: content[:16] + bytes(32) + content[48:],
    "rubbish": lambda content: content[::-1],
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_file_is_compiled_anew_and_replaced(place, forget, damage):
    cache.function("a", lambda: returning(3))
    [file] = place.iterdir()
    intact = file.read_bytes()
    file.write_bytes(damage(intact))
    forget()
    assert call(cache.function("a", lambda: returning(3))) == 3
    assert counts() == {"compiled": 1, "loaded": 0}
    assert file.read_bytes() == intact
    forget()
    assert call(cache.function("a", never)) == 3


def test_a_damaged_file_is_removed_when_it_cannot_be_replaced(place, forget):
    cache.function("a", lambda: returning(3))
    [file] = place.iterdir()
    file.write_bytes(b"rubbish")
    forget()
    with pytest.raises(AssertionError, match="should have been found"):
        cache.function("a", never)
    assert not file.exists()


def test_a_file_under_the_name_of_another_is_not_believed(place, forget):
    cache.function("a", lambda: returning(1))
    cache.function("b", lambda: returning(2))
    os.replace(
        place / f"{cache._name('b')}.kernel", place / f"{cache._name('a')}.kernel"
    )
    forget()
    assert call(cache.function("a", lambda: returning(1))) == 1
    assert counts() == {"compiled": 1, "loaded": 0}


def test_an_unreadable_file_is_compiled_anew(place, forget, monkeypatch):
    cache.function("a", lambda: returning(3))
    forget()

    def refuse(path, *_):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    with monkeypatch.context() as patch:
        patch.setattr("skgrad.backend.store.open", refuse, raising=False)
        assert cache._store().load(cache._name("a")) is None
    assert cache._store().load(cache._name("a")) is not None


# ----------------------------------------------------------- what directories may be


def asserted_warning(action):
    """Return the text of the one warning of an action."""
    with pytest.warns(RuntimeWarning) as caught:
        action()
    assert len(caught) == 1
    message = str(caught[0].message)
    assert "Set the environment variable SKGRAD_CACHE_DIR" in message
    return message


def fit():
    """Ask for two functions, as a fit does, and check them."""
    assert call(cache.function("a", lambda: returning(1))) == 1
    assert call(cache.function("b", lambda: returning(2))) == 2


def test_a_file_in_the_place_of_the_directory(place):
    place.parent.mkdir()
    place.write_text("not a directory")
    message = asserted_warning(fit)
    assert str(place) in message
    assert "File exists" in message or "already exists" in message
    assert cache.directory() is None
    cache.clear()
    fit()
    assert counts() == {"compiled": 2, "loaded": 0}
    assert place.read_text() == "not a directory"


def test_a_home_that_nobody_knows(forget, monkeypatch):
    def homeless():
        raise RuntimeError("Could not determine home directory.")

    for name in ("SKGRAD_CACHE_DIR", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    assert "Could not determine home directory." in asserted_warning(fit)
    assert cache.directory() is None


@pytest.mark.parametrize("error", [errno.EROFS, errno.EACCES, errno.ENOSPC])
def test_a_directory_that_takes_no_file(place, forget, monkeypatch, error):
    cache.function("a", lambda: returning(1))
    forget()
    attempts = []

    def refuse(path, flags, mode):
        attempts.append(path)
        raise OSError(error, os.strerror(error), str(path))

    monkeypatch.setattr(os, "open", refuse)
    message = asserted_warning(fit)
    assert os.strerror(error) in message
    assert str(place) in message
    assert counts() == {"compiled": 1, "loaded": 1}
    assert call(cache.function("c", lambda: returning(3))) == 3
    assert len(attempts) == 1


def test_a_disk_that_is_full_in_the_middle_of_a_file(place, monkeypatch):
    def fill(stream, content):
        io.FileIO.write(stream, content[:10])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def filling(file, mode):
        full = type("Full", (io.FileIO,), {"write": fill})
        return full(file, mode) if mode == "wb" else open(file, mode)

    monkeypatch.setattr("skgrad.backend.store.open", filling, raising=False)
    assert os.strerror(errno.ENOSPC) in asserted_warning(fit)
    assert list(place.iterdir()) == []


def test_a_directory_removed_meanwhile_is_created_again(place, forget):
    cache.function("a", lambda: returning(1))
    shutil.rmtree(place.parent)
    cache.function("b", lambda: returning(2))
    forget()
    assert call(cache.function("b", never)) == 2


def test_several_failures_warn_once(place, monkeypatch):
    monkeypatch.setattr(cache, "_fingerprint", functools.partial(os.stat, place / "no"))
    asserted_warning(fit)
    store = Store(place / "file")
    place.joinpath("file").write_text("not a directory")
    store.save("0" * 64, b"code")
    assert not store._writable


CHOSEN, SHARED, LOCAL = (str(Path.cwd() / name) for name in ("own", "shared", "local"))


@pytest.mark.parametrize(
    ("platform", "environment", "expected"),
    [
        ("linux", {"SKGRAD_CACHE_DIR": CHOSEN, "XDG_CACHE_HOME": SHARED}, CHOSEN),
        ("linux", {"SKGRAD_CACHE_DIR": "own"}, CHOSEN),
        ("linux", {"SKGRAD_CACHE_DIR": "~/own"}, "HOME/own"),
        ("linux", {"SKGRAD_CACHE_DIR": "", "XDG_CACHE_HOME": SHARED}, "SHARED/skgrad"),
        ("linux", {"XDG_CACHE_HOME": "relative"}, "HOME/.cache/skgrad"),
        ("linux", {"XDG_CACHE_HOME": ""}, "HOME/.cache/skgrad"),
        ("linux", {}, "HOME/.cache/skgrad"),
        ("darwin", {}, "HOME/Library/Caches/skgrad"),
        ("darwin", {"XDG_CACHE_HOME": SHARED}, "SHARED/skgrad"),
        ("win32", {"LOCALAPPDATA": LOCAL}, "LOCAL/skgrad"),
        ("win32", {}, "HOME/AppData/Local/skgrad"),
    ],
)
def test_the_environment_decides_where(monkeypatch, platform, environment, expected):
    home = str(Path.cwd() / "home")
    for name in ("SKGRAD_CACHE_DIR", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"HOME": home, "USERPROFILE": home, **environment}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "platform", platform)
    for name, path in {"HOME": home, "SHARED": SHARED, "LOCAL": LOCAL}.items():
        expected = expected.replace(f"{name}/", f"{path}/")
    assert location() == Path(expected)


def test_the_environment_is_read_at_first_use(tmp_path):
    program = f"""
        import os
        from skgrad.backend.cpu import cache
        place = os.path.join({str(tmp_path)!r}, "later")
        os.environ["SKGRAD_CACHE_DIR"] = place
        print(str(cache.directory()) == place, os.path.isdir(place))
        os.environ["SKGRAD_CACHE_DIR"] = "elsewhere"
        print(str(cache.directory()) == place)
    """
    assert run(program).split() == ["True"] * 3


# -------------------------------------------------------------------- who may write

if sys.platform != "win32":  # where a mode says who may

    def test_what_is_created_belongs_to_the_user_alone(place):
        cache.function("a", lambda: returning(1))
        [file] = place.iterdir()
        assert stat.S_IMODE(place.stat().st_mode) == 0o700
        assert stat.S_IMODE(file.stat().st_mode) == 0o600

    @pytest.mark.parametrize("mode", [0o770, 0o707, 0o777, 0o1777])
    def test_a_directory_others_can_write_to_is_not_used(place, mode):
        place.mkdir(parents=True)
        place.chmod(mode)
        message = asserted_warning(fit)
        assert f"{mode:04o}" in message
        assert "chmod go-w" in message
        assert str(place) in message
        assert cache.directory() is None
        assert list(place.iterdir()) == []

    def test_a_directory_others_can_only_read_is_used(place):
        place.mkdir(parents=True)
        place.chmod(0o755)
        fit()
        assert cache.directory() == place
        assert len(list(place.iterdir())) == 2

    def test_a_directory_of_another_user_is_not_used(place, monkeypatch):
        place.mkdir(parents=True)
        owner = place.stat().st_uid
        monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
        message = asserted_warning(fit)
        assert f"user {owner} " in message
        assert f"user {owner + 1}" in message
        assert list(place.iterdir()) == []

    def test_a_file_others_can_write_to_is_not_loaded(place, forget):
        cache.function("a", lambda: returning(1))
        [file] = place.iterdir()
        file.chmod(0o620)
        forget()
        cache.function("a", lambda: returning(1))
        assert counts() == {"compiled": 1, "loaded": 0}
        assert stat.S_IMODE(file.stat().st_mode) == 0o600

    def test_a_file_of_another_user_is_not_loaded(place, forget, monkeypatch):
        fit()
        forget()
        assert cache.directory() == place
        owner = place.stat().st_uid
        monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
        fit()
        assert counts() == {"compiled": 2, "loaded": 0}

    def test_a_fork_during_compilation_leaves_the_child_able_to_compile(tmp_path):
        program = """
            import os, threading, time, warnings
            from skgrad.backend.cpu import cache

            ir = "define void @kernel() { ret void }"
            begun = threading.Event()

            def slow():
                begun.set()
                time.sleep(0.2)
                return ir

            thread = threading.Thread(target=cache.function, args=("slow", slow))
            thread.start()
            begun.wait(60)
            warnings.simplefilter("ignore", DeprecationWarning)  # forks with threads
            if child := os.fork():
                thread.join()
                cache.function("of the parent", lambda: ir)
                _, status = os.waitpid(child, 0)
                print(os.waitstatus_to_exitcode(status), cache.n_compiled())
            else:
                try:
                    cache.function("slow", lambda: "not needed: compiled before")
                    cache.function("of the child", lambda: ir)
                    os._exit(10 * cache.n_compiled())
                finally:
                    os._exit(1)
        """
        place = str(tmp_path / "kernels")
        assert run(program, SKGRAD_CACHE_DIR=place) == "20 2"


# -------------------------------------------------------------------------- how much


def _filled(store, ages):
    """Save a kernel of 1000 bytes for each age in days; return their names."""
    names = [f"{number:064x}" for number in range(len(ages))]
    for name, age in zip(names, ages, strict=True):
        store.save(name, bytes(1000))
        used = time.time() - age * DAY
        os.utime(store.path / f"{name}.kernel", (used, used))
    return names


def test_the_least_recently_used_files_go_first(tmp_path):
    store = Store(tmp_path, max_bytes=10**6)
    names = _filled(store, [1, 5, 3, 2, 4])
    store.shrink(3500)
    assert {file.stem for file in tmp_path.iterdir()} == {names[i] for i in (0, 2, 3)}
    store.shrink(0)
    assert list(tmp_path.iterdir()) == []


def test_a_directory_stays_within_its_limit(tmp_path):
    store = Store(tmp_path, max_bytes=32_000)
    for number in range(100):
        store.save(f"{number:064x}", bytes(1000))
    # The limit, and what may be saved between two measurements: a sixteenth, a file.
    total = sum(file.stat().st_size for file in tmp_path.iterdir())
    assert 25_000 < total < 36_000
    assert store.load(f"{99:064x}") == bytes(1000)


def test_a_process_that_saves_one_kernel_measures_too(tmp_path):
    names = _filled(Store(tmp_path), range(30, 0, -1))
    Store(tmp_path, max_bytes=20_000).save("f" * 64, bytes(1000))
    # With their headers, 19 files of 1000 bytes fit.
    assert {file.stem for file in tmp_path.iterdir()} == {*names[-18:], "f" * 64}


def test_use_counts_once_a_day(tmp_path):
    store = Store(tmp_path)
    names = _filled(store, [0.5, 30])
    files = [tmp_path / f"{name}.kernel" for name in names]
    before = [file.stat().st_mtime for file in files]
    assert all(store.load(name) == bytes(1000) for name in names)
    after = [file.stat().st_mtime for file in files]
    assert after[0] == before[0]
    assert after[1] - before[1] > 29 * DAY


def test_other_peoples_files_stay_and_abandoned_ones_go(tmp_path):
    kept = ["notes.txt", "a.kernel", f"{'0' * 64}.{'1' * 16}.partial"]
    gone = f"{'0' * 64}.{'2' * 16}.partial"
    for name in (*kept, gone):
        tmp_path.joinpath(name).write_bytes(bytes(10))
    long_ago = time.time() - DAY
    for name in ("notes.txt", "a.kernel", gone):
        os.utime(tmp_path / name, (long_ago, long_ago))
    Store(tmp_path).shrink(10**6)
    assert {file.name for file in tmp_path.iterdir()} == set(kept)
    Store(tmp_path).shrink(0)
    assert {file.name for file in tmp_path.iterdir()} == {"notes.txt", "a.kernel"}


def test_files_that_another_process_removes_meanwhile_are_no_matter(
    tmp_path, monkeypatch
):
    store = Store(tmp_path)
    _filled(store, [1, 2, 3])
    unlink = os.unlink

    def late(path):
        unlink(path)
        unlink(path)

    monkeypatch.setattr(os, "unlink", late)
    store.shrink(0)
    assert list(tmp_path.iterdir()) == []
    shutil.rmtree(tmp_path)
    store.shrink(0)


def test_a_kernel_that_another_process_is_reading_may_stay(tmp_path, monkeypatch):
    store = Store(tmp_path)
    store.save("0" * 64, b"code")

    def refuse(source, target):
        raise PermissionError(errno.EACCES, "in use", str(target))

    monkeypatch.setattr(os, "replace", refuse)
    store.save("0" * 64, b"code")
    assert store.load("0" * 64) == b"code"
    assert len(list(tmp_path.iterdir())) == 1
    assert store._writable


def test_clear_empties_the_disk_and_leaves_the_memory(place):
    fit()
    assert len(list(place.iterdir())) == 2
    cache.clear()
    assert list(place.iterdir()) == []
    assert call(cache.function("a", never)) == 1
