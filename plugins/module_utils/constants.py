# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The strings of Clusternet's API that the collection uses: each stands here and nowhere else (spec/01 §6, §7)."""

from __future__ import annotations

# ruff: noqa: S105 - names of Secrets, not secrets

FIELD_MANAGER = "clusternet.core"

CLUSTERS_GROUP = "clusters.clusternet.io"
CLUSTERS_VERSION = "v1beta1"
CLUSTERS_API_VERSION = "clusters.clusternet.io/v1beta1"
CLUSTERS_API = "/apis/clusters.clusternet.io/v1beta1"
MANAGED_CLUSTER_KIND = "ManagedCluster"
MANAGED_CLUSTERS = "managedclusters"
CLUSTER_REGISTRATION_REQUEST_KIND = "ClusterRegistrationRequest"
CLUSTER_REGISTRATION_REQUESTS = "clusterregistrationrequests"

APPS_GROUP = "apps.clusternet.io"
APPS_API_VERSION = "apps.clusternet.io/v1alpha1"
APPS_API = "/apis/apps.clusternet.io/v1alpha1"
BASES = "bases"
DESCRIPTIONS = "descriptions"
HELM_RELEASES = "helmreleases"
HELM_CHART_KIND = "HelmChart"
SHADOW_API_VERSION = "shadow/v1alpha1"
PROXIES_API = "/apis/proxies.clusternet.io/v1alpha1"
SOCKETS = "sockets"
PROXY_USER = "clusternet"
PROXY_EXTRA_TOKEN = "clusternet-token"

LABEL_REGISTERED_BY = "clusters.clusternet.io/registered-by"
LABEL_CLUSTER_ID = "clusters.clusternet.io/cluster-id"
LABEL_CLUSTER_NAME = "clusters.clusternet.io/cluster-name"
LABEL_BOOTSTRAPPING = "clusters.clusternet.io/bootstrapping"
LABEL_CREATED_BY = "clusternet.io/created-by"
CREATED_BY_AGENT = "clusternet-agent"
CREATED_BY_CONTROLLER_MANAGER = "clusternet-controller-manager"
LABEL_SUBSCRIPTION_UID = "apps.clusternet.io/subs.uid"
LABEL_PREFIX_NODE = "node.clusternet.io/"
ANNOTATION_LEGACY_CLUSTER_ID = "legacy-cluster-id"
ANNOTATION_REGISTRANT = "clusternet.io/registrant"
ANNOTATION_AUTOUPDATE = "clusternet.io/autoupdate"
FINALIZER = "apps.clusternet.io/finalizer"
FINALIZER_FEED_PROTECTION = "apps.clusternet.io/feed-protection"
TAINT_UNSCHEDULABLE = "clusters.clusternet.io/unschedulable"
TAINT_INITIALIZATION = "clusters.clusternet.io/initialization"

SYNC_MODES = ("Push", "Pull", "Dual")
SCHEDULING_STRATEGIES = ("Replication", "Dividing")
DIVIDING_TYPES = ("Static", "Dynamic")
DYNAMIC_STRATEGIES = ("Spread", "Binpack")
PREEMPTION_POLICIES = ("PreemptLowerPriority", "PreemptNever")
SELECTOR_OPERATORS = ("In", "NotIn", "Exists", "DoesNotExist")
OVERRIDE_POLICIES = ("ApplyNow", "ApplyLater")
OVERRIDE_TYPES = ("Helm", "JSONPatch", "MergePatch", "FieldJSONPatch", "FieldMergePatch")
FIELD_FORMATS = ("YAML", "JSON")

TAINT_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")

CONDITION_READY = "Ready"
CONDITION_CLUSTER_INIT = "ClusterInit"
CONDITION_SCHEDULED = "Scheduled"
CONDITION_RENDERED = "Rendered"
CONDITION_DEPLOYED = "Deployed"
PHASE_SUCCESS = "Success"
PHASE_FAILURE = "Failure"
PHASE_DEPLOYED = "deployed"
PHASE_FAILED = "failed"
PHASE_FOUND = "Found"
PHASE_NOT_FOUND = "NotFound"

REQUEST_APPROVED = "Approved"
REQUEST_DENIED = "Denied"
REASON_WAITING_FOR_APPROVAL = "WaitingForApproval"
REASON_DENIED_BY_ADMINISTRATOR = "DeniedByAdministrator"

SYSTEM_NAMESPACE = "clusternet-system"
RESERVED_NAMESPACE = "clusternet-reserved"
OBJECT_NAME_PREFIX = "clusternet-"
SECRET_PARENT_CLUSTER = "parent-cluster"
SECRET_CHILD_CLUSTER_DEPLOYER = "child-cluster-deployer"
SECRET_KEY_ADVERTISE_URL = "apiserver-advertise-url"
SECRET_AGENT_REGISTRATION = "clusternet-agent-cluster-registration"
LEASE_AGENT = "clusternet-agent"
LEASE_HUB = "clusternet-hub"
LEASE_PREFIX_PEER = "clusternet-hub-peer-"
LEASE_CONTROLLER_MANAGER = "clusternet-controller-manager"
LEASE_SCHEDULER = "clusternet-scheduler"
SERVICE_ACCOUNT_AGENT = "clusternet-agent"
SERVICE_ACCOUNT_DEPLOYER = "clusternet-app-deployer"
SERVICE_ACCOUNT_HUB_PROXY = "clusternet-hub-proxy"
ROLE_MANAGED_CLUSTER = "clusternet-managedcluster-role"
AGENT_ADMIN = "clusternet:agent:admin"
CLUSTER_ROLE_BINDING_DEPLOYER = "clusternet:app:deployer"
CLUSTER_ROLE_BINDING_DEPLOYER_ADMIN = "clusternet:app:deployer:admin"

BOOTSTRAP_TOKEN_NAMESPACE = "kube-system"
BOOTSTRAP_TOKEN_NAME_PREFIX = "bootstrap-token-"
BOOTSTRAP_TOKEN_TYPE = "bootstrap.kubernetes.io/token"
BOOTSTRAP_TOKEN_GROUP = "system:bootstrappers:clusternet:register-cluster-token"

# Values of published Secrets, which the hub keeps in Secrets of these types
MANIFEST_VALUES_TYPE = "clusternet.io/manifest-values"
DESCRIPTION_VALUES_TYPE = "clusternet.io/description-values"
VALUES_KEY_TYPE = "clusternet.io/values-key"
ANNOTATION_VALUES = "apps.clusternet.io/secret-values"
