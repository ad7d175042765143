"""The README's tour works when it is pasted."""

import asyncio
import os
import re
import shutil
import signal
from pathlib import Path

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```sh tour\n(.*?)^```$", re.MULTILINE | re.DOTALL)


async def test_the_tour_works_when_pasted(base_url: str, tmp_path: Path) -> None:
    blocks = BLOCK.findall((ROOT / "README.md").read_text())
    script = "set -eu\n" + "\n".join(blocks).replace("http://127.0.0.1:8000", base_url)
    for name in (".venv", "examples"):
        (tmp_path / name).symlink_to(ROOT / name)

    bash = await asyncio.create_subprocess_exec(
        str(shutil.which("bash")),
        "-c",
        script,
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(50):
            output = (await bash.communicate())[0].decode()
    except TimeoutError:
        # With what it left in the background, which would hold our end of the pipe open.
        os.killpg(bash.pid, signal.SIGKILL)
        output = (await bash.communicate())[0].decode()
        raise AssertionError(f"the tour did not come to its end:\n{output}") from None

    assert len(blocks) == 4
    assert bash.returncode == 0, output
    assert '"type":"message.created"' in output
    assert output.count("The engine weaves algebraic patterns.") == 2
    assert "the same, to the byte" in output
