"""``python -m clusternet_lab``."""

import sys

from clusternet_lab.cli import main

sys.exit(main())
