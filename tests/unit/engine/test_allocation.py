"""Memory that was needed for a moment goes back to the system."""

import platform
import subprocess
import sys

import pytest

SCRIPT = """
import asyncio, contextlib, sys
import psutil
from clusternet_engine.allocation import memory_given_back

process = psutil.Process()

def left(before):
    return (process.memory_info().rss - before) // 2**20

async def main():
    async with memory_given_back(0.01) if sys.argv[1:] else contextlib.nullcontext():
        await asyncio.sleep(0.1)
        before = process.memory_info().rss
        once = bytearray(2**24)
        del once
        many = [bytearray(2**19) for _ in range(50)]
        del many
        print(left(before))
        before = process.memory_info().rss
        many = [bytearray(2**14) for _ in range(3000)]
        kept = many[::30]
        del many
        for _ in range(100):
            await asyncio.sleep(0.05)
            if left(before) < 10:
                break
        print(left(before))

asyncio.run(main())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the settings are glibc's")
def test_what_is_freed_goes_back() -> None:
    usual, ours = (
        subprocess.run([sys.executable, "-c", SCRIPT, *given], capture_output=True, check=True, timeout=60, text=True)
        for given in ((), ("set",))
    )
    assert min(map(int, usual.stdout.split())) > 10, "the C library gives memory back by itself: this isn't needed"
    large, small = map(int, ours.stdout.split())
    assert large < 4
    assert small < 10
