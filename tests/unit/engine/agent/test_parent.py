import pytest
from clusternet_engine.agent.parent import diagnose
from clusternet_engine.agent.progress import Reason
from clusternet_engine.kube.errors import (
    ApiError,
    ConnectionFailed,
    Forbidden,
    Invalid,
    NotFound,
    TooManyRequests,
    Unauthorized,
)

URL = "https://parent.example"


@pytest.mark.parametrize(
    ("error", "reason", "step"),
    [
        (ConnectionFailed(URL, "refused", "connection refused"), Reason.PARENT_UNREACHABLE, "connection"),
        (ConnectionFailed(URL, "dns", "no such host"), Reason.PARENT_UNREACHABLE, "connection"),
        (ConnectionFailed(URL, "tls", "unknown authority"), Reason.PARENT_CERTIFICATE_UNTRUSTED, "connection"),
        (Unauthorized(401), Reason.BOOTSTRAP_TOKEN_REJECTED, "authentication"),
        (Forbidden(403), Reason.REGISTRATION_FORBIDDEN, "authorization"),
        (NotFound(404), Reason.CLUSTERNET_MISSING, "request"),
        (Invalid(422), Reason.REGISTRATION_INVALID, "request"),
        (TooManyRequests(429), Reason.PARENT_UNREACHABLE, "connection"),
        (ApiError(500), Reason.PARENT_UNREACHABLE, "connection"),
    ],
)
def test_every_error_has_its_reason_and_step(error, reason, step):
    status = diagnose(error, URL)
    assert status.reason is reason
    assert status.reason.step == step
    assert status.message


def test_every_reason_has_a_step():
    assert all(reason.step for reason in Reason)
