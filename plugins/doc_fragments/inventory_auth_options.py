# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The connection options of kubernetes.core for an inventory plugin, each with its environment variables."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  kubeconfig:
    description:
      - Path of a kubeconfig, or its content as a dictionary. V(~) is the home folder, a relative path is relative to
        the working directory.
      - Several paths can be joined by V(:).
      - If neither this nor O(host) nor O(context) is given, the ServiceAccount of the pod is used where there is one,
        else the file named by E(KUBECONFIG), else V(~/.kube/config).
      - Static credentials (token, client certificate, password) are read directly; credential plugins (exec, OIDC,
        auth providers) need the Python package C(kubernetes).
    type: raw
    env:
      - name: K8S_AUTH_KUBECONFIG
  context:
    description: The context of the kubeconfig to use instead of its current one.
    type: str
    env:
      - name: K8S_AUTH_CONTEXT
  host:
    description:
      - URL of the parent's API server.
      - Without O(kubeconfig) and O(context) no kubeconfig is read, so that its credentials are never sent to another
        server.
    type: str
    env:
      - name: K8S_AUTH_HOST
  api_key:
    description: Token to authenticate with.
    type: str
    env:
      - name: K8S_AUTH_API_KEY
  username:
    description: User name for HTTP basic authentication.
    type: str
    env:
      - name: K8S_AUTH_USERNAME
  password:
    description: Password for HTTP basic authentication.
    type: str
    env:
      - name: K8S_AUTH_PASSWORD
  client_cert:
    description: Path of a client certificate (PEM).
    type: path
    aliases: [cert_file]
    env:
      - name: K8S_AUTH_CLIENT_CERT
      - name: K8S_AUTH_CERT_FILE
  client_key:
    description: Path of the client certificate's private key (PEM, not encrypted).
    type: path
    aliases: [key_file]
    env:
      - name: K8S_AUTH_CLIENT_KEY
      - name: K8S_AUTH_KEY_FILE
  ca_cert:
    description: Path of the CA certificates (PEM) to trust instead of those of the kubeconfig or the system.
    type: path
    aliases: [ssl_ca_cert]
    env:
      - name: K8S_AUTH_CA_CERT
      - name: K8S_AUTH_SSL_CA_CERT
  validate_certs:
    description:
      - Whether to verify the TLS certificate of the API server, a boolean. An empty value counts as not given,
        anything else that is no boolean is an error.
      - If not given, as the kubeconfig says, else V(true).
    type: raw
    aliases: [verify_ssl]
    env:
      - name: K8S_AUTH_VALIDATE_CERTS
      - name: K8S_AUTH_VERIFY_SSL
  proxy:
    description: URL of an HTTP proxy. Proxy settings of the environment such as E(HTTPS_PROXY) are not used.
    type: str
    env:
      - name: K8S_AUTH_PROXY
  no_proxy:
    description: Hosts, domains, addresses and CIDRs, separated by commas, that are reached without the proxy.
    type: str
    env:
      - name: K8S_AUTH_NO_PROXY
  proxy_headers:
    description:
      - Headers for the proxy, a dictionary with V(proxy_basic_auth), V(basic_auth) (both C(user:password)) and
        V(user_agent).
      - In the environment as JSON, or each by its own variable E(K8S_AUTH_PROXY_HEADERS_PROXY_BASIC_AUTH),
        E(K8S_AUTH_PROXY_HEADERS_BASIC_AUTH), E(K8S_AUTH_PROXY_HEADERS_USER_AGENT).
    type: raw
    env:
      - name: K8S_AUTH_PROXY_HEADERS
  persist_config:
    description: Whether a credential plugin may save renewed tokens in the kubeconfig, a boolean.
    type: raw
    env:
      - name: K8S_AUTH_PERSIST_CONFIG
  impersonate_user:
    description: User to impersonate.
    type: str
    env:
      - name: K8S_AUTH_IMPERSONATE_USER
  impersonate_groups:
    description: Groups to impersonate, in the environment separated by commas.
    type: list
    elements: str
    env:
      - name: K8S_AUTH_IMPERSONATE_GROUPS
"""
