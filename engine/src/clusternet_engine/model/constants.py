"""Every string of Clusternet's wire: groups, labels, annotations, keys, words and fixed names (spec/01 §6, §7)."""

from __future__ import annotations

# API groups
CLUSTERS_GROUP = "clusters.clusternet.io"
APPS_GROUP = "apps.clusternet.io"
PROXIES_GROUP = "proxies.clusternet.io"
SHADOW_GROUP = "shadow"
SHADOW_VERSION = "v1alpha1"
SHADOW_CATEGORY = "clusternet.shadow"

# Labels
REGISTERED_BY_LABEL = "clusters.clusternet.io/registered-by"
CLUSTER_ID_LABEL = "clusters.clusternet.io/cluster-id"
CLUSTER_NAME_LABEL = "clusters.clusternet.io/cluster-name"
BOOTSTRAPPING_LABEL = "clusters.clusternet.io/bootstrapping"
CREATED_BY_LABEL = "clusternet.io/created-by"
CONFIG_GROUP_LABEL = "apps.clusternet.io/config.group"
CONFIG_VERSION_LABEL = "apps.clusternet.io/config.version"
CONFIG_KIND_LABEL = "apps.clusternet.io/config.kind"
CONFIG_NAME_LABEL = "apps.clusternet.io/config.name"
CONFIG_NAMESPACE_LABEL = "apps.clusternet.io/config.namespace"
CONFIG_UID_LABEL = "apps.clusternet.io/config.uid"
SUBSCRIPTION_UID_LABEL = "apps.clusternet.io/subs.uid"
SUBSCRIPTION_NAME_LABEL = "apps.clusternet.io/subs.name"
SUBSCRIPTION_NAMESPACE_LABEL = "apps.clusternet.io/subs.namespace"
NODE_LABEL_PREFIX = "node.clusternet.io/"

# Values of labels
REGISTERED_BY_AGENT = "clusternet-agent"
CREATED_BY_AGENT = "clusternet-agent"
CREATED_BY_HUB = "clusternet-hub"
CREATED_BY_CONTROLLER_MANAGER = "clusternet-controller-manager"
RBAC_DEFAULTS = "rbac-defaults"
CREDENTIALS_AUTO = "credentials-auto"

# Annotations
AUTOUPDATE_ANNOTATION = "clusternet.io/autoupdate"
LEGACY_CLUSTER_ID_ANNOTATION = "legacy-cluster-id"
SKIP_CLUSTER_INIT_ANNOTATION = "clusters.clusternet.io/skip-cluster-init"
CLUSTER_INIT_BASE_ANNOTATION = "apps.clusternet.io/cluster-init-base"
DEFAULT_CLUSTER_INIT_ANNOTATION = "apps.clusternet.io/is-default-cluster-init"
FEED_PROTECTION_ANNOTATION = "apps.clusternet.io/feed-protection"
SKIP_VALIDATING_ANNOTATION = "apps.clusternet.io/skip-validating"
OWNED_BY_DESCRIPTION_ANNOTATION = "apps.clusternet.io/owned-by-description"
MANAGED_FIELDS_ANNOTATION = "apps.clusternet.io/managed-fields"
"""Of Manifests, not in Clusternet's own API: who owns which field of the object, since somebody has applied it."""
LAST_APPLIED_ANNOTATION = "clusternet.io/last-applied-configuration"
RENDERED_FEEDS_ANNOTATION = "apps.clusternet.io/rendered-feeds"
RENDERING_PROBLEMS_ANNOTATION = "apps.clusternet.io/rendering-problems"
CHART_LOGINS_ANNOTATION = "apps.clusternet.io/chart-logins"
"""Of Bases, not in Clusternet's own API: the Secrets and repositories of the charts as they were rendered."""
CHART_LOGIN_LABEL = "apps.clusternet.io/chart-login"
COPIED_FROM_ANNOTATION = "apps.clusternet.io/copied-from"
COPIED_FOR_ANNOTATION = "apps.clusternet.io/copied-for"
"""Of copies of Secrets, not in Clusternet's own API: what they are, of which Secret, for whose charts."""
PULL_SECRET_FOR_PREFIX = "pull-secret-for.clusternet.io/"  # noqa: S105 - no secret
"""Of labels on Secrets, followed by a namespace, not in Clusternet's own API: its HelmCharts may use the Secret."""
USERNAME_KEY = "username"
PASSWORD_KEY = "password"  # noqa: S105 - the name of a key
REBALANCE_ANNOTATION = "apps.clusternet.io/rebalance"
"""Not in Clusternet's own API: `"true"` on a Subscription divides replicas anew when clusters come, go or are lost."""
REGISTRANT_ANNOTATION = "clusternet.io/registrant"
"""Of registration requests, not in Clusternet's own API: the parent's user who posted one and reads the answer."""
ANY_REGISTRANT = "*"
"""Value of that annotation: whoever holds a registration token."""
HANDED_OVER_ANNOTATION = "clusternet.io/handed-over-credential"
"""Of registration requests, not in Clusternet's own API: which credential the cluster has used since it was issued."""
SERVING_ANNOTATION = "clusternet.io/serving-at"
"""Of APIServices, not in Clusternet's own API: when the hub served although the parent's API server didn't ask it."""
KUBECTL_LAST_APPLIED_ANNOTATION = "kubectl.kubernetes.io/last-applied-configuration"

# Finalizers
FINALIZER = "apps.clusternet.io/finalizer"
FEED_PROTECTION_FINALIZER = "apps.clusternet.io/feed-protection"

# Taints of ManagedClusters
UNSCHEDULABLE_TAINT = "clusters.clusternet.io/unschedulable"
INITIALIZATION_TAINT = "clusters.clusternet.io/initialization"
NO_SCHEDULE = "NoSchedule"
NO_EXECUTE = "NoExecute"
PREFER_NO_SCHEDULE = "PreferNoSchedule"

# Conditions of ManagedClusters and their reasons
READY = "Ready"
AVAILABLE = "Available"
MANAGED_CLUSTER_READY = "ManagedClusterReady"
MANAGED_CLUSTER_NOT_READY = "ManagedClusterNotReady"
CLUSTER_STATUS_UNKNOWN = "ClusterStatusUnknown"
CLUSTER_STATUS_NEVER_UPDATED = "ClusterStatusNeverUpdated"
CLUSTER_INIT = "ClusterInit"
CLUSTER_INIT_DISABLED = "ClusterInitDisabled"
CLUSTER_INIT_WAITING = "ClusterInitWaiting"
CLUSTER_INIT_DONE = "ClusterInitDone"
TRUE = "True"
FALSE = "False"
UNKNOWN = "Unknown"

# Results of ClusterRegistrationRequests
APPROVED = "Approved"
DENIED = "Denied"

# Values of spec fields
CLUSTER_TYPES = ("StandardCluster", "EdgeCluster")
SYNC_MODES = ("Push", "Pull", "Dual")
PUSH = "Push"
PULL = "Pull"
DUAL = "Dual"

# Publishing: values of spec and status fields (spec/01 §3)
DEFAULT_SCHEDULER = "default"
REPLICATION = "Replication"
DIVIDING = "Dividing"
STATIC = "Static"
DYNAMIC = "Dynamic"
SPREAD = "Spread"
APPLY_NOW = "ApplyNow"
APPLY_LATER = "ApplyLater"
DEFAULT_PRIORITY = 500
REPLICA_PRIORITY = 1000
OVERRIDE_TYPES = ("Helm", "JSONPatch", "MergePatch", "FieldJSONPatch", "FieldMergePatch")
CHART_FOUND = "Found"
CHART_NOT_FOUND = "NotFound"
DEPLOYER_HELM = "Helm"
DEPLOYER_GENERIC = "Generic"
DESCRIPTION_PENDING = "Pending"
DESCRIPTION_SUCCESS = "Success"
DESCRIPTION_FAILURE = "Failure"
DESCRIPTION_INSTALLING = "Installing"
DESCRIPTION_UPGRADING = "Upgrading"
DESCRIPTION_UNINSTALLING = "Uninstalling"
DESCRIPTION_SUPERSEDED = "Superseded"
DESCRIPTION_UNKNOWN = "Unknown"
RELEASE_DEPLOYED = "deployed"
RELEASE_FAILED = "failed"

# Conditions of Subscriptions; not in Clusternet's own API
SCHEDULED = "Scheduled"
RENDERED = "Rendered"
DEPLOYED = "Deployed"

CONTESTED = "Contested"
"""Condition of Descriptions, not in Clusternet's own API, and reason of events: others undo what is published."""

MALFORMED_OBJECT = "MalformedObject"
"""Reason of events on objects that can't be read whole, or not be made use of."""

# Kinds
SUBSCRIPTION_KIND = "Subscription"
FEED_INVENTORY_KIND = "FeedInventory"
BASE_KIND = "Base"
DESCRIPTION_KIND = "Description"
HELM_CHART_KIND = "HelmChart"
HELM_RELEASE_KIND = "HelmRelease"
MANIFEST_KIND = "Manifest"
LOCALIZATION_KIND = "Localization"
GLOBALIZATION_KIND = "Globalization"

# Fixed names
SYSTEM_NAMESPACE = "clusternet-system"
RESERVED_NAMESPACE = "clusternet-reserved"
HUB = "clusternet-hub"
AGENT = "clusternet-agent"
SCHEDULER = "clusternet-scheduler"
GATEWAY = "clusternet-gateway"
PARENT_CLUSTER_SECRET = "parent-cluster"  # noqa: S105 - the name of a Secret
CHILD_DEPLOYER_SECRET = "child-cluster-deployer"  # noqa: S105 - the name of a Secret
REGISTRATION_SECRET = "clusternet-agent-cluster-registration"  # noqa: S105 - the name of a Secret
APP_DEPLOYER = "clusternet-app-deployer"
PROXY_USER = "clusternet"
ROOT_CA_CONFIG_MAP = "kube-root-ca.crt"
BOOTSTRAP_GROUP = "system:bootstrappers:clusternet:register-cluster-token"
BOOTSTRAP_ACCOUNT = "cluster-bootstrap-use"
MANAGED_CLUSTER_ROLE = "clusternet-managedcluster-role"

# Hubs that find each other
PEER_LEASE_PREFIX = "clusternet-hub-peer-"
PEER_PATH = "/connect"
PEER_ID_HEADER = "X-API-Tunnel-ID"
PEER_TOKEN_HEADER = "X-API-Tunnel-Token"  # noqa: S105 - the name of a header

# Values of published Secrets, in Secrets of their own; not in Clusternet's own API
VALUES_ANNOTATION = "apps.clusternet.io/secret-values"
VALUES_OF_ANNOTATION = "apps.clusternet.io/secret-values-of"
READS_VALUES_ANNOTATION = "clusters.clusternet.io/reads-secret-values"
MANIFEST_VALUES_TYPE = "clusternet.io/manifest-values"
DESCRIPTION_VALUES_TYPE = "clusternet.io/description-values"
VALUES_PREFIX = "clusternet-values-"
VALUES_KEY_SECRET = "clusternet-values-key"  # noqa: S105 - the name of a Secret
VALUES_KEY_TYPE = "clusternet.io/values-key"
REFERENCED = "referenced"
INLINE = "inline"
PUBLISHED_SECRETS = (REFERENCED, INLINE)

# Keys of Secrets
ADVERTISE_URL_KEY = "apiserver-advertise-url"
PARENT_URL_KEY = "parentURL"
REGISTRATION_TOKEN_KEY = "regToken"  # noqa: S105 - the name of a key
CA_CERTIFICATE_KEY = "ca.crt"
TOKEN_KEY = "token"  # noqa: S105 - the name of a key
NAMESPACE_KEY = "namespace"

# ServiceAccount tokens as Kubernetes keeps them in Secrets
SERVICE_ACCOUNT_TOKEN_TYPE = "kubernetes.io/service-account-token"  # noqa: S105 - a type of Secret
SERVICE_ACCOUNT_NAME_ANNOTATION = "kubernetes.io/service-account.name"
SERVICE_ACCOUNT_UID_ANNOTATION = "kubernetes.io/service-account.uid"

# Labels by which Kubernetes distributions mark nodes and control plane pods
CONTROL_PLANE_NODE_LABELS = ("node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master")
COMPONENT_LABELS = ("component", "app.kubernetes.io/component")

# What the programs serve about themselves
HEALTH_PATHS = ("/healthz", "/readyz", "/livez")
METRICS_PATH = "/metrics"

# Generated names
PREFIX = "clusternet-"
RANDOM_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
RANDOM_LENGTH = 5
