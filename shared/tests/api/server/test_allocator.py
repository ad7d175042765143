"""What a burst has left behind is given back."""

import subprocess
import sys
from pathlib import Path

import pytest

_BURST = """
import re
from sharezync_shared.server.allocator import FreedMemory, keep_freed_memory

def anonymous_mib():
    text = open("/proc/self/status").read()
    return int(re.search(r"RssAnon:\\s+(\\d+)", text)[1]) // 1024

keep_freed_memory()
freed = FreedMemory()
freed.trim()
before = anonymous_mib()
pins = []
for _ in range(3):
    burst = []
    for _ in range(100):
        burst.append(bytearray(b"x" * 2**20))
        pins.append(bytearray(40_000))  # each keeps what is below it from the top of the heap
    freed.trim()
    del burst
    kept = anonymous_mib() - before
    freed.trim()
    freed.trim()
    print(kept, anonymous_mib() - before)
"""


@pytest.mark.skipif(
    not (Path("/proc/self/status").exists() and sys.platform == "linux"), reason="asks Linux"
)
def test_what_a_burst_leaves_behind_is_given_back() -> None:
    run = subprocess.run([sys.executable, "-c", _BURST], capture_output=True, text=True, check=True)
    for line in run.stdout.splitlines():  # also by the second burst, and the third
        kept, after = map(int, line.split())
        assert kept > 50, "glibc gave it back by itself: nothing is shown here"
        assert after < 30
