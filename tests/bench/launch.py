"""Run a program and write what it used: launch.py REPORT COMMAND…

A process of its own because the peak memory the kernel tells of a program is at least that of whoever started it;
this one is small.
"""

import json
import os
import sys

report, *command = sys.argv[1:]
process = os.posix_spawnp(command[0], command, os.environ)
_, status, usage = os.wait4(process, 0)
with open(report, "w") as file:
    json.dump({"cpu": usage.ru_utime + usage.ru_stime, "peak": usage.ru_maxrss / 1024}, file)
sys.exit(os.waitstatus_to_exitcode(status))
