"""Access to the parent cluster: whom the agent trusts there, and what a failed request means for the registration."""

from __future__ import annotations

from clusternet_engine.agent.progress import Reason, Status
from clusternet_engine.agent.secrets import ParentCredential, Registration
from clusternet_engine.agent.settings import Settings
from clusternet_engine.kube.client import Client
from clusternet_engine.kube.config import ClusterConfig, ConfigError
from clusternet_engine.kube.credentials import RenewedToken
from clusternet_engine.kube.errors import ApiError, ConnectionFailed, Forbidden, Invalid, NotFound, Unauthorized
from clusternet_engine.model import constants as names


class Parent:
    """Makes clients of the parent.

    The certificate of the parent is always verified, unless `--insecure-skip-tls-verify` was asked for.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def client(self, url: str, token: str | RenewedToken | None, ca_certificate: bytes | None) -> Client:
        """Return a client that trusts the CA bundle (PEM), or the system's store when that is None.

        Args:
            url: of the parent.
            token: by which it speaks to the parent, possibly one that is renewed.
            ca_certificate: the CA bundle.

        Raises:
            ConfigError: the bundle is not PEM.
        """
        config = ClusterConfig(
            server=url,
            ca_data=ca_certificate,
            token=token if isinstance(token, str) else None,
            insecure_skip_tls_verify=self._settings.insecure_skip_tls_verify,
        )
        return Client(
            config,
            qps=self._settings.qps,
            burst=self._settings.burst,
            user_agent=names.AGENT,
            tokens=token if isinstance(token, RenewedToken) else None,
        )

    async def trusted_ca(self, registration: Registration, stored: ParentCredential | None) -> bytes | None:
        """Return the CA bundle to verify the parent with; None stands for the system's trust store.

        The bundle given with the registration decides. Without one, the CA of an earlier approval is used where it
        fits, since agents that registered by other means have nothing else; a parent behind a publicly trusted load
        balancer needs the system's store all the same.
        """
        if registration.ca_certificate or stored is None:
            return registration.ca_certificate
        try:
            async with self.client(registration.parent_url, None, stored.ca_certificate) as client:
                await client.raw("GET", "/version", timeout=10)
        except ConfigError:
            return None
        except ConnectionFailed as error:
            return None if error.cause == "tls" else stored.ca_certificate
        return stored.ca_certificate


def diagnose(error: ApiError | ConnectionFailed, url: str) -> Status:
    """Say which step of the registration an error of the parent stops, and what can be done about it."""
    match error:
        case ConnectionFailed(cause="tls"):
            return Status(
                Reason.PARENT_CERTIFICATE_UNTRUSTED,
                f"the parent is not trusted: {error}; the CA that signed its certificate is given as key ca.crt of the "
                "registration Secret (clusternet_agent_parent_ca) or with --cluster-reg-ca-file",
            )
        case ConnectionFailed():
            return Status(Reason.PARENT_UNREACHABLE, f"the parent cannot be reached: {error}")
        case Unauthorized():
            return Status(
                Reason.BOOTSTRAP_TOKEN_REJECTED,
                f"the parent {url} does not know the registration token; it is wrong, has expired or was deleted",
            )
        case Forbidden():
            return Status(
                Reason.REGISTRATION_FORBIDDEN,
                "the registration token is valid but may not create registration requests; a bootstrap token needs the "
                f"group system:bootstrappers:clusternet:register-cluster-token: {error.message}",
            )
        case NotFound():
            return Status(
                Reason.CLUSTERNET_MISSING,
                f"{url} does not know ClusterRegistrationRequests; is this the parent, and is the hub installed there?",
            )
        case Invalid():
            return Status(Reason.REGISTRATION_INVALID, f"the parent refuses the registration request: {error.message}")
        case _:
            return Status(Reason.PARENT_UNREACHABLE, f"the parent {url} answers with an error: {error}")
