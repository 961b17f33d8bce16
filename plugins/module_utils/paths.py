# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tell the path of a file from the content of one, so that messages show paths and never contents."""

from __future__ import annotations

import os
import re

_LONGEST_NAME = 255  # bytes of one name in a path, on the file systems of Linux
_CONTENT_STARTS = (
    "{",  # JSON
    "---",  # YAML, PEM
    "apiVersion:",
    "eyJ",  # the same in Base64, and every JSON Web Token
    "LS0t",
    "YXBpVmVyc2lvb",
)


def is_path(text: str) -> bool:
    """Return whether a text can be a path, or several joined by a colon, and isn't what a file holds.

    Kubeconfigs, keys and tokens are given in place of their paths by mistake.
    """
    text = text.strip()
    return (
        text.isprintable()
        and not text.startswith(_CONTENT_STARTS)
        and all(len(os.fsencode(name)) <= _LONGEST_NAME for name in re.split("[/:]", text))
    )
