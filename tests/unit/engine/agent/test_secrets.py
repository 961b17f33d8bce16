import base64

import pytest
from clusternet_engine.agent import secrets

URL = "https://parent.example:6443"
CREDENTIAL = secrets.ParentCredential(URL, "clusternet-x7k2b", "sa-token", b"-----CA-----")


def encoded(**data):
    return {key.replace("__", "."): base64.b64encode(value).decode() for key, value in data.items()}


def registration_secret(data):
    return {"metadata": {"name": "clusternet-agent-cluster-registration"}, "data": data}


def stored(credential=CREDENTIAL):
    return secrets.parent_cluster_secret(
        credential, secret_namespace="clusternet-system", cluster_id="the-id", cluster_name="child1"
    )


def test_the_registration_secret_is_read():
    secret = registration_secret(encoded(parentURL=URL.encode(), regToken=b"07401b.f395accd246ae52d", ca__crt=b"PEM"))
    assert secrets.registration(secret) == secrets.Registration(URL, "07401b.f395accd246ae52d", b"PEM")


def test_without_a_ca_the_system_is_trusted():
    secret = registration_secret(encoded(parentURL=URL.encode(), regToken=b"07401b.f395accd246ae52d"))
    assert secrets.registration(secret).ca_certificate is None


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (encoded(regToken=b"07401b.f395accd246ae52d"), "key parentURL: the key is missing"),
        (encoded(parentURL=URL.encode()), "key regToken: the key is missing"),
        (encoded(parentURL=b"parent", regToken=b"07401b.f395accd246ae52d"), "key parentURL: the URL"),
        (encoded(parentURL=URL.encode(), regToken=b"topsecret"), "key regToken: the token must be"),
        ({"parentURL": "%%%"}, "not base64"),
        (None, "key parentURL: the key is missing"),
    ],
)
def test_a_broken_registration_secret_names_the_key_and_shows_no_value(data, problem):
    with pytest.raises(secrets.SecretInvalid, match=problem) as refusal:
        secrets.registration(registration_secret(data))
    assert "topsecret" not in str(refusal.value)


def test_parent_cluster_has_the_shape_of_clusternet():
    secret = stored()
    assert secret["metadata"] == {
        "name": "parent-cluster",
        "namespace": "clusternet-system",
        "labels": {
            "clusters.clusternet.io/bootstrapping": "credentials-auto",
            "clusters.clusternet.io/cluster-id": "the-id",
            "clusters.clusternet.io/cluster-name": "child1",
        },
    }
    assert secret["type"] == "Opaque"
    assert {key: base64.b64decode(value) for key, value in secret["data"].items()} == {
        "ca.crt": b"-----CA-----",
        "token": b"sa-token",
        "namespace": b"clusternet-x7k2b",
        "apiserver-advertise-url": URL.encode(),
    }


def test_a_stored_credential_is_read_back():
    assert secrets.parent_credential(stored(), URL) == CREDENTIAL


@pytest.mark.parametrize("url", [URL + "/", "https://PARENT.example:6443", "https://other"])
def test_a_credential_of_another_url_is_not_used(url):
    assert secrets.parent_credential(stored(), url) is None


def test_a_parent_with_another_url_is_known_by_its_ca():
    ca = CREDENTIAL.ca_certificate
    assert secrets.parent_credential(stored(), "https://other", ca + b"\n") == CREDENTIAL
    assert secrets.parent_credential(stored(), "https://other", b"another CA") is None
    assert secrets.parent_credential(stored(), URL, b"another CA") == CREDENTIAL


@pytest.mark.parametrize("key", ["ca.crt", "token", "namespace", "apiserver-advertise-url"])
def test_an_incomplete_credential_is_not_used(key):
    secret = stored()
    del secret["data"][key]
    assert secrets.parent_credential(secret, URL) is None


def token_secret(**changes):
    return {
        "metadata": {
            "name": "clusternet-app-deployer",
            "annotations": {
                "kubernetes.io/service-account.name": "clusternet-app-deployer",
                "kubernetes.io/service-account.uid": "sa-uid",
            },
        },
        "data": encoded(token=b"child-token", ca__crt=b"child-ca", namespace=b"clusternet-system") | changes,
    }


def test_the_deployer_secret_has_the_shape_of_clusternet():
    token = secrets.service_account_token(token_secret())
    secret = secrets.child_deployer_secret(
        token, namespace="clusternet-x7k2b", cluster_id="the-id", child_url="https://child:6443"
    )
    assert secret["metadata"] == {
        "name": "child-cluster-deployer",
        "namespace": "clusternet-x7k2b",
        "labels": {
            "clusternet.io/created-by": "clusternet-agent",
            "clusters.clusternet.io/cluster-id": "the-id",
            "clusters.clusternet.io/bootstrapping": "credentials-auto",
        },
        "annotations": {"clusternet.io/autoupdate": "true"},
        "finalizers": ["apps.clusternet.io/finalizer"],
    }
    assert {key: base64.b64decode(value) for key, value in secret["data"].items()} == {
        "token": b"child-token",
        "ca.crt": b"child-ca",
        "service-account.name": b"clusternet-app-deployer",
        "service-account.uid": b"sa-uid",
        "apiserver-advertise-url": b"https://child:6443",
    }


@pytest.mark.parametrize("key", ["token", "ca.crt"])
def test_a_token_secret_kubernetes_has_not_filled_is_waited_for(key):
    assert secrets.service_account_token(token_secret(**{key: ""})) is None


def test_no_secret_is_shown_by_repr():
    assert "sa-token" not in repr(CREDENTIAL)
    assert "child-token" not in repr(secrets.service_account_token(token_secret()))
