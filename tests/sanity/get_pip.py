"""Stand-in for the pip bootstrap script that `ansible-test` downloads: installs the pip that comes with Python.

`ansible-test` takes a file of this kind from its cache when it is there, so its checks run where only package indexes
are reached. It passes pip requirements (`pip==24.2`) and switches, two of which plain pip doesn't know.
"""

import subprocess
import sys

# In a process of its own: ensurepip makes pip forget the user's settings.
subprocess.check_call([sys.executable, "-m", "ensurepip"])
arguments = [argument for argument in sys.argv[1:] if argument not in ("--no-setuptools", "--no-wheel")]
sys.exit(subprocess.call([sys.executable, "-m", "pip", "install", *arguments]))
