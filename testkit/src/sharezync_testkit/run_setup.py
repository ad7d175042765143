"""What a test run sets up in its own process, before any test is collected."""

import ast
import functools
import gc
import importlib.util
import os
import random
import signal
import ssl
import sys
import threading
from collections.abc import Callable
from typing import Any, Final

import hypothesis
import hypothesis.core
import structlog
from hypothesis import Phase

SEED_VARIABLE: Final = "HYPOTHESIS_SEED"
EXAMPLES_VARIABLE: Final = "MODEL_EXAMPLES"


def restore_sigint() -> None:
    """Let children have the default SIGINT, also where this process was told to ignore it.

    A shell starts background jobs (`make test &`) with SIGINT ignored, and what is ignored stays so
    across exec. A handler does not: the children of a process that has one begin with the default.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, lambda _number, _frame: None)


def spare_lookups() -> None:
    """Have `import sniffio` fail at once where it isn't installed: httpx tries for each request."""
    if importlib.util.find_spec("sniffio") is None:
        sys.modules["sniffio"] = None  # type: ignore[assignment]  # as the import system has it


def use_plain_tracebacks() -> None:
    """Have structlog, where a test leaves it as it is, print tracebacks as Python does.

    Where `rich` is installed it draws them, which takes seconds for one of a request.
    """
    renderer = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[*structlog.get_config()["processors"][:-1], renderer])


def trust_no_authorities() -> None:
    """Have TLS contexts come without the authorities of the world: tests know this machine alone.

    Each client of httpx and of the S3 library reads some 140 of them, for 30 ms of CPU. Those that
    a test names itself are read as ever.
    """
    read = ssl.SSLContext.load_verify_locations
    variables = ("SSL_CERT_FILE", "AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE")
    bundles = {os.environ[name] for name in variables if name in os.environ}

    def load_verify_locations(
        self: ssl.SSLContext,
        cafile: str | None = None,
        capath: str | None = None,
        cadata: str | bytes | None = None,
    ) -> None:
        ours = cafile not in bundles and not str(cafile).endswith(
            "/cacert.pem"
        )  # certifi, botocore
        if ours:
            read(self, cafile, capath, cadata)

    ssl.SSLContext.load_verify_locations = load_verify_locations  # type: ignore[method-assign,assignment]  # as above
    ssl.SSLContext.load_default_certs = lambda *_: None  # type: ignore[method-assign]  # as above
    ssl.SSLContext.set_default_verify_paths = lambda _: None  # type: ignore[method-assign,assignment]  # as above


def use_fresh_examples(seed: str | None = None) -> str:
    """Have Hypothesis try new examples in every run, in CI too; return the seed that repeats them.

    The seed is `seed`, else that of HYPOTHESIS_SEED, else a new one. It goes to child processes
    (the workers of a run) by the environment. Without this profile Hypothesis would choose its own
    for CI, which tries the same examples for ever. No deadline: that is a matter of the machine.
    """
    hypothesis.settings.register_profile(
        "sharezync", derandomize=False, deadline=None, print_blob=True
    )
    hypothesis.settings.load_profile("sharezync")
    chosen = seed or os.environ.get(SEED_VARIABLE) or str(random.SystemRandom().getrandbits(32))
    os.environ[SEED_VARIABLE] = chosen
    hypothesis.core.global_force_seed = int(chosen)  # type: ignore[assignment]  # as its plugin does
    return chosen


def model_settings(few: int, **others: Any) -> hypothesis.settings:  # noqa: ANN401 - as Hypothesis
    """Return settings of a test that plays whole stories on a running service.

    `few` stories, or as many as MODEL_EXAMPLES asks for. Making a failing story shorter takes
    minutes, which only who asked for many has. None is stored: the seed of the run repeats it.
    """
    phases = [Phase.generate, Phase.shrink] if asked_examples() else [Phase.generate]
    return hypothesis.settings(
        max_examples=asked_examples() or few,
        phases=phases,
        database=None,
        deadline=None,
        suppress_health_check=list(hypothesis.HealthCheck),
        **others,
    )


def asked_examples() -> int:
    """Return how many stories MODEL_EXAMPLES asks for; 0 where it doesn't."""
    return int(os.environ.get(EXAMPLES_VARIABLE, "0"))


def make_parsing_safe() -> None:
    """Keep the garbage collector out of `ast.parse`, where CPython can't bear it. Safe to repeat.

    Until 3.11.8 and 3.12.2 all calls share one counter of their depth (CPython issue 106905). A
    collection during the call runs finalizers, which may let another thread parse, or format a
    traceback, which parses too; the interrupted call then ends in `SystemError: AST constructor
    recursion depth mismatch`. Hypothesis parses the sources of the product for constants, in a
    thread beside the one that serves, so it happens in tests only.
    """
    if sys.version_info < (3, 12, 2) and not hasattr(ast.parse, "__wrapped__"):
        ast.parse = _without_collection(ast.parse)


def _without_collection(parse: Callable[..., Any]) -> Callable[..., Any]:
    lock = threading.RLock()  # else one thread would switch on what another has just switched off

    @functools.wraps(parse)
    def parse_uninterrupted(*args: Any, **options: Any) -> Any:  # noqa: ANN401 - as `ast.parse`
        with lock:
            was_enabled = gc.isenabled()
            gc.disable()
            try:
                return parse(*args, **options)
            finally:
                if was_enabled:
                    gc.enable()

    return parse_uninterrupted
