"""Asks what a program of the engine answers at its health endpoints."""

import asyncio
import ssl
import urllib.error
import urllib.request

from hub_site import eventually


def ask(port: int, path: str, token: str = "") -> tuple[int, str]:
    """Return status and text of an answer of a health endpoint; 0 while nobody listens."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    request = urllib.request.Request(f"https://127.0.0.1:{port}{path}")
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, context=context, timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError:
        return 0, ""


async def answers(port: int, path: str, status: int = 200, token: str = "", missing: str = "") -> str:
    """Wait for an answer with this status, and without a text if one must be missing; return its text."""

    async def reached() -> str:
        found, text = await asyncio.to_thread(ask, port, path, token)
        return text or "empty" if found == status and not (missing and missing in text) else ""

    return str(await eventually(reached, why=f"{path} answers {status}"))
