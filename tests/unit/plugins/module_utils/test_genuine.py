"""Which ManagedClusters were registered, where others say to be clusters, too."""

import pytest
from ansible_collections.clusternet.core.plugins.module_utils.errors import ApiError
from ansible_collections.clusternet.core.plugins.module_utils.genuine import Claim, contested, leave_out, strangers
from hypothesis import given
from hypothesis import strategies as st

HONEST = Claim("1", "ns-1", "bank", "2026-01-01")
SECOND = Claim("2", "ns-2", "shop", "2026-01-02")
INVENTED = Claim("9", "ns-2", "bank-prod", "2026-01-03")
STOLEN = Claim("1", "ns-2", "bank", "2026-01-03")
REGISTERED = {"1": ("ns-1", "bank"), "2": ("ns-2", "shop")}
CLAIMS = st.lists(
    st.builds(Claim, *[st.sampled_from([f"{kind}{number}" for number in range(3)]) for kind in "inct"]),
    max_size=6,
    unique_by=lambda one: one[1:3],
)


def test_an_honest_fleet_is_not_contested():
    assert contested([HONEST, SECOND]) == []


@pytest.mark.parametrize("registered", [REGISTERED, None], ids=["requests", "age"])
@pytest.mark.parametrize("stranger", [INVENTED, STOLEN], ids=["invented", "stolen"])
def test_the_stranger_is_found(stranger, registered):
    assert strangers([stranger, SECOND, HONEST], registered) == [stranger]


def test_the_requests_count_more_than_age():
    """A child that could make ManagedClusters once has removed its own, too."""
    renamed = SECOND._replace(created="2026-02-01")
    old = INVENTED._replace(created="2025-12-31")
    assert strangers([renamed, old], REGISTERED) == [old]
    assert strangers([renamed, old], None) == [renamed]


@given(
    claims=CLAIMS,
    registered=st.none()
    | st.dictionaries(
        st.sampled_from(["i0", "i1"]),
        st.tuples(st.sampled_from(["n0", "n1"]), st.sampled_from(["c0", "c1"])),
        max_size=2,
    ),
)
def test_what_stays_is_contested_no_more(claims, registered):
    """However many say to be clusters: no two of those that stay share an identity, nor, by age, a namespace."""
    left = strangers(claims, registered)
    stay = [one for one in claims if one not in left]
    assert len({one.cluster_id for one in stay}) == len(stay)
    if registered is None:
        assert contested(stay) == []
    assert all(one in contested(claims) for one in left)


class _Parent:
    def __init__(self, answer):
        self.warnings = []
        self.answer = answer
        self.asked = 0

    def list(self, path, selector=None):
        self.asked += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def test_requests_are_read_only_where_something_is_contested():
    parent = _Parent([])
    assert leave_out(parent, [HONEST, SECOND], lambda one: one) == [HONEST, SECOND]
    assert parent.asked == 0
    assert parent.warnings == []


def request(cluster_id, namespace, name):
    return {"spec": {"clusterId": cluster_id}, "status": {"dedicatedNamespace": namespace, "managedClusterName": name}}


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ([request("1", "ns-1", "bank"), request("2", "ns-2", "shop")], "the registration requests say so"),
        (ApiError(403, "Forbidden", "no"), "it is younger"),
    ],
    ids=["readable", "forbidden"],
)
def test_a_warning_names_what_is_left_out(answer, why):
    parent = _Parent(answer)
    assert leave_out(parent, [INVENTED, SECOND, HONEST, STOLEN], lambda one: one) == [SECOND, HONEST]
    assert len(parent.warnings) == 2
    assert all("ns-2/bank" in text and why in text for text in parent.warnings)
