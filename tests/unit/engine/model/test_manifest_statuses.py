"""What a Description tells of its objects, as far as it has room."""

import orjson
from clusternet_engine.model import manifest_statuses
from clusternet_engine.model.manifest_statuses import fitting


def entry(name, **status):
    return {"kind": "K", "name": name, **({"observedStatus": status} if status else {})}


def test_what_tells_most_has_room_first(monkeypatch):
    description = {"metadata": {"name": "d"}, "status": {"reason": "x" * 1000}}
    entries = [entry("a"), entry("b", replicas=1), entry("c"), entry("d", replicas=2)]
    assert fitting(description, entries) == entries
    room = sum(len(orjson.dumps(one)) + 1 for one in entries)
    own = len(orjson.dumps({"metadata": description["metadata"]}))
    monkeypatch.setattr(manifest_statuses, "MAX_DESCRIPTION", own + room)
    assert fitting(description, entries) == entries
    monkeypatch.setattr(manifest_statuses, "MAX_DESCRIPTION", own + room - 1)
    assert fitting(description, entries) == [entries[0], entries[1], entries[3]]
    monkeypatch.setattr(manifest_statuses, "MAX_DESCRIPTION", own)
    assert fitting(description, entries) == []
