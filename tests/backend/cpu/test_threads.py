"""The limit on BLAS threads, with the BLAS installed here and with imitations.

The imitations keep the number of threads as libraries do, shared or per thread, where
the machine has one kind only; they do nothing else.
"""

import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import threadpoolctl

from skgrad.backend.cpu import blas, threads
from skgrad.backend.cpu.threads import blas_threads, single_threaded


class SharedLibrary:
    """One number of threads for the process."""

    internal_api = "imitation"
    threading_layer = "pthreads"

    def __init__(self, num_threads=4):
        self.num_threads = num_threads

    def set_num_threads(self, num_threads):
        self.num_threads = num_threads


class PerThreadLibrary(threading.local):
    """A number of threads for each thread, as OpenBLAS on OpenMP."""

    internal_api = "openblas"
    threading_layer = "openmp"
    num_threads = 4

    def set_num_threads(self, num_threads):
        self.num_threads = num_threads

    @classmethod
    def clear_controlling_thread(cls, force=False):
        pass


def _installed():
    return threadpoolctl.ThreadpoolController().select(user_api="blas").lib_controllers


def _counts(libraries):
    return [library.num_threads for library in libraries]


def _give(libraries, counts):
    for library, count in zip(libraries, counts, strict=True):
        library.set_num_threads(count)
        threads._release_control(library)


@pytest.fixture
def imitations(monkeypatch):
    """Return the two shared libraries the limiter sees, with 4 and 3 threads."""
    libraries = [SharedLibrary(4), SharedLibrary(3)]
    monkeypatch.setattr(threads, "_found", lambda with_scipy: (libraries, []))
    return libraries


@pytest.fixture
def installed():
    """Return the installed libraries, set to two threads for the test."""
    libraries = _installed()
    before = _counts(libraries)
    _give(libraries, [2] * len(libraries))
    yield libraries
    _give(libraries, before)


@pytest.fixture(params=["imitations", "installed"])
def libraries(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def other_thread():
    """Return a function that runs another in a second thread, always the same one."""
    with ThreadPoolExecutor(1) as pool:
        yield lambda function: pool.submit(function).result(timeout=60)


def test_one_thread_inside_and_the_old_number_afterwards(libraries):
    before = _counts(libraries)
    with single_threaded():
        assert _counts(libraries) == [1] * len(libraries)
    assert _counts(libraries) == before


def test_the_first_to_enter_may_be_the_first_to_leave(libraries, other_thread):
    before = _counts(libraries)
    first, second = single_threaded(), single_threaded()
    first.__enter__()
    other_thread(second.__enter__)
    first.__exit__(None, None, None)
    assert _counts(libraries) == [1] * len(libraries)
    other_thread(lambda: second.__exit__(None, None, None))
    assert _counts(libraries) == before


def test_many_overlapping_blocks_restore_the_old_number(libraries):
    before = _counts(libraries)
    barrier = threading.Barrier(4)

    def enter_together_and_leave_in_disorder(_):
        barrier.wait(timeout=60)
        inside = []
        for _ in range(25):
            with single_threaded():
                inside.append(_counts(libraries))
        return inside

    with ThreadPoolExecutor(4) as pool:
        seen = list(pool.map(enter_together_and_leave_in_disorder, range(4)))
    assert seen == [[[1] * len(libraries)] * 25] * 4
    assert _counts(libraries) == before


def test_nested_blocks_restore_at_the_outermost(libraries):
    before = _counts(libraries)
    with single_threaded():
        with single_threaded():
            pass
        assert _counts(libraries) == [1] * len(libraries)
    assert _counts(libraries) == before


def test_an_exception_passes_and_the_old_number_returns(libraries):
    before = _counts(libraries)
    with pytest.raises(KeyError, match="the fit"), single_threaded():
        raise KeyError("the fit failed")
    assert _counts(libraries) == before
    with single_threaded():
        assert _counts(libraries) == [1] * len(libraries)
    assert _counts(libraries) == before


def test_the_number_restored_is_that_of_the_latest_first_entry(libraries):
    with single_threaded():
        pass
    _give(libraries, [3] * len(libraries))
    with single_threaded():
        pass
    assert _counts(libraries) == [3] * len(libraries)


@pytest.mark.parametrize(
    ("flops", "limited"),
    [(2 * 32 * 20 * 64, True), (2 * 256**3, True), (2 * 1280**3, False)],
)
def test_only_large_products_have_several_threads(imitations, flops, limited):
    with blas_threads(flops):
        assert _counts(imitations) == ([1, 1] if limited else [4, 3])
    assert _counts(imitations) == [4, 3]


def test_the_strictest_of_overlapping_requests_wins(imitations, other_thread):
    small = single_threaded()
    with blas_threads(1e12):
        other_thread(small.__enter__)
        assert _counts(imitations) == [1, 1]
        with blas_threads(1e12):
            assert _counts(imitations) == [1, 1]
    assert _counts(imitations) == [1, 1]
    other_thread(lambda: small.__exit__(None, None, None))
    assert _counts(imitations) == [4, 3]


def test_a_number_kept_per_thread_is_set_and_restored_in_each(
    monkeypatch, other_thread
):
    library = PerThreadLibrary()
    assert threads._counts_per_thread(library)
    monkeypatch.setattr(threads, "_found", lambda with_scipy: ([], [library]))
    library.set_num_threads(3)
    second = single_threaded()
    with single_threaded():
        with single_threaded():
            pass
        assert other_thread(lambda: library.num_threads) == 4
        other_thread(second.__enter__)
        assert library.num_threads == other_thread(lambda: library.num_threads) == 1
    assert library.num_threads == 3
    assert other_thread(lambda: library.num_threads) == 1
    other_thread(lambda: second.__exit__(None, None, None))
    assert other_thread(lambda: library.num_threads) == 4


def test_a_limit_of_another_thread_is_left_to_it(installed, other_thread):
    before = _counts(installed)

    def fit():
        with single_threaded():
            pass
        return _counts(installed)

    with threadpoolctl.threadpool_limits(3, user_api="blas"):
        assert other_thread(fit) == [3] * len(installed)
    assert _counts(installed) == before


# ------------------------------------------------------------------- what goes wrong


class Uncontrollable:
    """A library that answers nothing."""

    internal_api = "unknown"

    @property
    def num_threads(self):
        raise OSError("no such symbol")


class Deaf(SharedLibrary):
    """A library that ignores requests, and notes them."""

    def __init__(self):
        super().__init__(4)
        self.requests = []

    def set_num_threads(self, num_threads):
        self.requests.append(num_threads)


@pytest.mark.parametrize("library", [Uncontrollable(), SharedLibrary(None), Deaf()])
def test_a_library_beyond_control_harms_nothing(imitations, library):
    imitations.insert(0, library)
    with single_threaded():
        assert _counts(imitations[1:]) == [1, 1]
    assert _counts(imitations[1:]) == [4, 3]
    assert threads._changed == []


def test_a_library_that_was_not_limited_is_not_restored(imitations):
    # Another thread has control of it, and may set another number meanwhile.
    deaf = Deaf()
    imitations.append(deaf)
    with single_threaded():
        pass
    assert deaf.requests == [1]


def test_without_libraries_nothing_is_limited_and_nothing_fails(monkeypatch):
    def fail():
        raise RuntimeError("the libraries of this process cannot be listed")

    monkeypatch.setattr(threadpoolctl, "ThreadpoolController", fail)
    assert threads._found.__wrapped__(True) == ([], [])


def test_libraries_are_listed_once_before_and_once_after_scipy(monkeypatch):
    found = []
    monkeypatch.setattr(
        threads, "_found", lambda with_scipy: found.append(with_scipy) or ([], [])
    )
    monkeypatch.setattr(blas, "_loaded_alone", [])
    monkeypatch.delitem(sys.modules, "scipy.linalg", raising=False)
    with single_threaded():
        pass
    monkeypatch.setitem(sys.modules, "scipy.linalg", object())
    with single_threaded():
        pass
    assert found == [False, True]


if sys.platform != "win32":  # where processes do not fork

    def test_the_child_of_a_fork_forgets_the_blocks_of_other_threads():
        program = """
            import os, threading, warnings
            from skgrad.backend.cpu import threads

            class Library:
                num_threads = 4
                def set_num_threads(self, n):
                    self.num_threads = n

            library = Library()
            threads._found = lambda with_scipy: ([library], [])
            entered, done = threading.Event(), threading.Event()

            def fit():
                with threads.single_threaded():
                    entered.set()
                    done.wait(60)

            thread = threading.Thread(target=fit)
            thread.start()
            entered.wait(60)
            warnings.simplefilter("ignore", DeprecationWarning)  # forks with threads
            if child := os.fork():
                _, status = os.waitpid(child, 0)
                done.set()
                thread.join()
                assert library.num_threads == 4
                print(os.waitstatus_to_exitcode(status))
            else:
                try:
                    with threads.single_threaded():
                        inside = library.num_threads
                    os._exit(10 * inside + library.num_threads)
                finally:
                    os._exit(1)
        """
        printed = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(program)],
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
        # One thread inside, the four from before the fork afterwards.
        assert printed.stdout.strip() == "14"
        assert printed.stderr == ""
