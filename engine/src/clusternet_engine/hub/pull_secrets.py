"""The logins to chart repositories that the hub itself uses: to look for charts, and to push them.

The hub may read every Secret of the parent, and others choose which one it reads and to whom it sends what is in it.
So it reads a Secret only if it lies in the namespace of the HelmChart, or is released for that. For a HelmRelease,
what the hub has noted on the Base says which chart, Secret and repository these are.
"""

from __future__ import annotations

from clusternet_engine.deploy.pull_secrets import PullSecretMissing, credential_of
from clusternet_engine.deploy.repositories import Credential
from clusternet_engine.kube.client import Client
from clusternet_engine.kube.errors import NotFound
from clusternet_engine.kube.resources import BASES, SECRETS, Object, split_key
from clusternet_engine.model.descriptions import HELM_SUFFIX
from clusternet_engine.model.logins import Login, login_for, login_of, may_use, refusal
from clusternet_engine.model.names import is_dns_label, is_dns_subdomain
from clusternet_engine.model.releases import description_name


class HubPullSecrets:
    """Reads logins for charts.

    Args:
        client: of the parent cluster, as the hub.
    """

    def __init__(self, client: Client) -> None:
        self._client = client

    async def of_chart(self, chart: Object) -> Credential:
        """Return the login for a HelmChart; an empty one where it names no Secret.

        Raises:
            PullSecretMissing: it can't be read, or the chart may not use it.
        """
        login = login_of(chart["spec"], chart["metadata"]["namespace"])
        return await self._credential(login) if login else Credential()

    async def of_release(self, release: Object) -> Credential:
        """Return the login for a HelmRelease's chart; an empty one where it names no Secret.

        Raises:
            PullSecretMissing: it can't be read, the chart may not use it, or the hub didn't render the release so.
        """
        spec = release["spec"]
        if not (spec.get("chartPullSecret") or {}).get("name"):
            return Credential()
        login = await self._noted(release)
        if login is None or not login.is_for(spec):
            raise PullSecretMissing(
                "the login of chartPullSecret is not used: neither it nor the repository is what the hub has rendered"
            )
        return await self._credential(login)

    async def _noted(self, release: Object) -> Login | None:
        metadata, name = release["metadata"], description_name(release)
        if not name:
            return None
        try:
            # Asked of the parent: what the cache knows may be older than the HelmRelease.
            base = await self._client.get(BASES, name.removesuffix(HELM_SUFFIX), metadata["namespace"])
        except NotFound:
            return None
        return login_for(release, base)

    async def _credential(self, login: Login) -> Credential:
        namespace, name = split_key(login.secret)
        if not (is_dns_label(namespace or "") and is_dns_subdomain(name)):
            # No Secret is called so; asking for it would be a request that the hub has no right to.
            raise PullSecretMissing(refusal(login))
        try:
            secret = await self._client.get(SECRETS, name, namespace)
        except NotFound:
            secret = None
        if secret is None or not may_use(secret, login.chart_namespace):
            raise PullSecretMissing(refusal(login))
        return credential_of(secret)
