"""Prolific and other platforms: who comes in, signed links, completion, webhooks and their replays."""

import base64
import hashlib
import hmac
import json
import time

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from fixtures.shops import Annotator, Running, make_shop, page_events
from jwt.algorithms import RSAAlgorithm

from luab_collect.server import entry as entry_module
from luab_collect.server.entry import Entrance
from luab_collect.store.decisions import decide
from luab_data.errors import SourceError

IDS = {"PROLIFIC_PID": "p" * 24, "STUDY_ID": "s" * 24, "SESSION_ID": "v" * 24}
COMPLETION = "https://app.prolific.com/submissions/complete?cc=C123"
AUDIENCE = "https://lab.example.org"
SECRET = "hook secret"


@pytest.fixture(scope="module")
def key():
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def key_set(key, kid="k1"):
    public = json.loads(RSAAlgorithm.to_jwk(key.public_key()))
    return json.dumps({"keys": [public | {"kid": kid, "use": "sig", "alg": "RS256"}]})


@pytest.fixture
def app(tmp_path, key):
    settings = {
        "completion_url": COMPLETION,
        "jwks": "keys.json",
        "audience": AUDIENCE,
        "webhook_secret": SECRET,
    }
    running = Running(tmp_path / "shop", _files={"keys.json": key_set(key)}, platforms={"prolific": settings})
    with running.client:
        yield running


def signed(key, algorithm="RS256", kid="k1", **change):
    claims = {"aud": AUDIENCE, "exp": time.time() + 300, "prolific": IDS} | change
    return jwt.encode(
        {k: v for k, v in claims.items() if v is not None}, key, algorithm, headers={"kid": kid}
    )


def enter(app, token=None, parameters=None):
    body = {"platform": "prolific", "parameters": parameters or {}} | ({"token": token} if token else {})
    return app.client.post("/api/enter", json=body)


def test_a_visit_from_prolific_ends_at_its_completion_address(app):
    ann = Annotator(app.client, platform="prolific", parameters=IDS).consent()
    ann.finish()
    assert "completion" not in ann.work()
    ann.finish()
    done = ann.work()
    assert (done["state"], done["completion"]["url"], done["more"]) == ("done", COMPLETION, False)
    assert ann.post("/api/assignments").json()["error"] == "assignment"
    # The same visit again is the same assignment; another one begins the next.
    assert Annotator(app.client, platform="prolific", parameters=IDS).work() == done
    other = Annotator(app.client, platform="prolific", parameters=IDS | {"SESSION_ID": "w" * 24})
    assert other.pseudonym == ann.pseudonym and other.work()["state"] == "page"


def test_a_signed_link_is_taken(app, key):
    ann = Annotator(app.client, platform="prolific", token=signed(key))
    assert ann.pseudonym == Annotator(app.client, platform="prolific", parameters=IDS).pseudonym
    assert enter(app, signed(key), IDS).status_code == 200


def public_pem(key):
    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def forged_with_the_public_key(key):
    """HS256 with the public key as its secret, which careless checks take."""

    def part(value):
        return base64.urlsafe_b64encode(value).rstrip(b"=")

    head = part(json.dumps({"alg": "HS256", "kid": "k1", "typ": "JWT"}).encode())
    body = part(json.dumps({"aud": AUDIENCE, "exp": time.time() + 300, "prolific": IDS}).encode())
    mac = hmac.new(public_pem(key), head + b"." + body, hashlib.sha256).digest()
    return (head + b"." + body + b"." + part(mac)).decode()


FORGED = {
    "expired": lambda key: signed(key, exp=time.time() - 10),
    "without an end": lambda key: signed(key, exp=None),
    "for another study": lambda key: signed(key, aud="https://elsewhere.example.org"),
    "for nobody": lambda key: signed(key, aud=None),
    "by another key": lambda key: signed(rsa.generate_private_key(public_exponent=65537, key_size=2048)),
    "by a key that is not in the set": lambda key: signed(key, kid="k2"),
    "by another kind of key": lambda key: signed(ec.generate_private_key(ec.SECP256R1()), algorithm="ES256"),
    "not signed": lambda key: signed("", algorithm="none"),
    "with the public key as a secret": forged_with_the_public_key,
    "no token": lambda key: "a.b.c",
    "about nobody": lambda key: signed(key, prolific=None),
    "about no ids": lambda key: signed(key, prolific={"PROLIFIC_PID": 1, "SESSION_ID": ["x"]}),
}


@pytest.mark.parametrize("kind", FORGED)
def test_a_forged_link_is_refused(app, key, kind):
    answer = enter(app, FORGED[kind](key))
    assert answer.status_code in (401, 422), answer.text
    assert "session" not in answer.json()


def test_an_address_that_contradicts_its_token_is_refused(app, key):
    assert enter(app, signed(key), IDS | {"PROLIFIC_PID": "q" * 24}).json()["error"] == "signature"


@pytest.mark.parametrize("value", ["", "x" * 256, "a\0b", "a\nb", None])
def test_ids_that_are_none_are_refused(app, value):
    parameters = {name: each for name, each in (IDS | {"PROLIFIC_PID": value}).items() if each is not None}
    assert enter(app, parameters=parameters).status_code == 422


def test_signed_only_refuses_plain_parameters(tmp_path, key):
    settings = {"completion_url": COMPLETION, "jwks": "keys.json", "audience": AUDIENCE, "signed_only": True}
    running = Running(tmp_path / "shop", _files={"keys.json": key_set(key)}, platforms={"prolific": settings})
    with running.client:
        assert enter(running, parameters=IDS).json()["error"] == "signature"
        assert enter(running, signed(key)).status_code == 200


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"jwks": "keys.json"}, "go together"),
        ({"audience": AUDIENCE}, "go together"),
        ({"signed_only": True}, "signed_only needs both"),
        ({"jwks": "missing.json", "audience": AUDIENCE}, "which is no key set"),
        ({"jwks": "project.yaml", "audience": AUDIENCE}, "which is no key set"),
    ],
)
def test_settings_that_do_not_fit_are_refused(tmp_path, settings, reason):
    project = make_shop(tmp_path / "shop", platforms={"prolific": {"completion_url": COMPLETION} | settings})
    with pytest.raises(SourceError, match=reason):
        Entrance(project)


def test_keys_that_cannot_be_fetched_are_said(tmp_path, key, monkeypatch):
    settings = {"completion_url": COMPLETION, "jwks": "https://127.0.0.1:9/keys", "audience": AUDIENCE}
    running = Running(tmp_path / "shop", platforms={"prolific": settings})
    with running.client:
        answer = enter(running, signed(key))
        assert (answer.status_code, answer.json()["error"]) == (503, "unavailable")


def hook(app, content, timestamp=None, signature=None, secret=SECRET):
    body = json.dumps(content).encode() if not isinstance(content, bytes) else content
    timestamp = str(int(app.clock.now)) if timestamp is None else timestamp
    mac = hmac.new(secret.encode(), timestamp.encode() + body, hashlib.sha256).digest()
    headers = {
        "X-Prolific-Request-Timestamp": timestamp,
        "X-Prolific-Request-Signature": base64.b64encode(mac).decode() if signature is None else signature,
    }
    return app.client.post("/hooks/prolific", content=body, headers=headers)


RETURNED = {"event_type": "submission.status.change", "resource_id": IDS["SESSION_ID"], "status": "RETURNED"}


def test_a_returned_submission_gives_its_page_back_once(app):
    ann = Annotator(app.client, platform="prolific", parameters=IDS).consent()
    page = ann.work()["page"]["work"]
    timestamp = str(int(app.clock.now))
    assert hook(app, RETURNED, timestamp).json() == {"state": "used"}
    assert ann.work()["page"]["work"] == page  # nobody took it: hers again
    assert hook(app, RETURNED, timestamp).json() == {"state": "replayed"}
    other = Annotator(app.client, platform="prolific", parameters=IDS | {"PROLIFIC_PID": "q" * 24}).consent()
    assert other.work()["page"]["items"] != ann.work()["page"]["items"]  # the replay gave nothing back
    assert hook(app, RETURNED | {"status": "APPROVED"}).json() == {"state": "ignored"}
    assert hook(app, {"resource_id": ["x"], "status": 1, "event_type": "\0"}).json() == {"state": "ignored"}


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"secret": "other"}, 401),
        ({"signature": ""}, 401),
        ({"signature": "x"}, 401),
        ({"timestamp": "0"}, 401),
        ({"timestamp": "1e9"}, 401),
        ({"timestamp": ""}, 401),
        ({"timestamp": "9" * 400}, 401),
    ],
)
def test_a_webhook_that_is_not_prolifics_is_refused(app, change, status):
    assert hook(app, RETURNED, **change).status_code == status


def test_hostile_webhooks_are_refused(app):
    assert hook(app, b"[" * 60_000).status_code == 400
    assert hook(app, b"[]").status_code == 422
    assert hook(app, b"x" * 70_000).status_code == 413


def test_without_prolific_there_are_no_webhooks(tmp_path):
    running = Running(tmp_path / "shop")
    with running.client:
        assert hook(running, RETURNED).json()["error"] == "platform"


def test_another_platform_enters_by_parameters_and_ends_with_a_code(tmp_path):
    url = {
        "annotator": "workerId",
        "session": "assignmentId",
        "completion_url": "https://p.example.org/?c={code}",
    }
    running = Running(tmp_path / "shop", platforms={"url": url})
    with running.client:
        ann = Annotator(
            running.client, platform="url", parameters={"workerId": "w", "assignmentId": "1"}
        ).consent()
        ann.finish()
        ann.finish()
        completion = ann.work()["completion"]
        assert completion["url"] == f"https://p.example.org/?c={completion['code']}"
        again = Annotator(running.client, platform="url", parameters={"workerId": "w", "assignmentId": "1"})
        assert again.work()["completion"] == completion
        other = Annotator(
            running.client, platform="url", parameters={"workerId": "v", "assignmentId": "1"}
        ).consent()
        assert other.work()["state"] == "page"  # another's visit of the same name gives her no code
        lacks = running.client.post("/api/enter", json={"platform": "url", "parameters": {"workerId": "w"}})
        assert lacks.status_code == 422 and "assignmentId" in lacks.json()["reason"]


def test_ages_and_algorithms_are_as_documented():
    assert entry_module.MAX_AGE == 300
    assert entry_module.ALGORITHMS == ["RS256", "ES256"]


def test_who_is_rejected_gets_the_code_of_complete_work_and_no_more_work(tmp_path):
    running = Running(tmp_path / "shop", platforms={"url": {"annotator": "worker", "session": "visit"}})

    def rejected(name, pages):
        annotator = Annotator(
            running.client, platform="url", parameters={"worker": name, "visit": "1"}
        ).consent()
        for _ in range(pages):
            annotator.finish()
        with running.store.writing() as connection:
            about = {"annotator": annotator.pseudonym, "verdict": "reject", "reason": "no care"}
            decide(connection, **about, by="me", now=running.clock())
        return annotator

    with running.client:
        ann = rejected("ann", 2)
        done = ann.work()
        assert (done["state"], done["more"], done["assignment"]["done"]) == ("done", False, 2)
        assert len(done["completion"]["code"]) == 12 and ann.post("/api/assignments").json() == done
        other = {"platform": "url", "parameters": {"worker": "ann", "visit": "2"}}
        assert Annotator(running.client, **other).work() == {"state": "nothing"}
        assert rejected("ben", 1).work() == {"state": "nothing"}


def test_who_is_rejected_on_her_last_page_can_finish_it_and_gets_its_code(tmp_path):
    running = Running(tmp_path / "shop", pages_per_hit=1)
    with running.client:
        (ann,) = running.annotators("Ann")
        page, base, epoch = ann.begin()
        with running.store.writing() as connection:
            about = {"annotator": ann.pseudonym, "verdict": "reject", "reason": "no care"}
            decide(connection, **about, by="me", now=running.clock())
        assert ann.work() == {"state": "nothing"}
        events = page_events(page["items"][0]["id"])
        ann.send(base, epoch, events)
        assert ann.post(f"{base}/submit", {"epoch": epoch, "last_seq": len(events)}).status_code == 200
        done = ann.work()
        assert (done["state"], done["more"]) == ("done", False) and done["completion"]["code"]
        assert ann.post("/api/assignments").json() == done


def test_who_is_rejected_in_her_next_assignment_gets_the_code_of_the_complete_one(tmp_path):
    running = Running(tmp_path / "shop", pages_per_hit=1)
    with running.client:
        (ann,) = running.annotators("Ann")
        ann.finish()
        complete = ann.work()
        assert ann.post("/api/assignments").json()["state"] == "page"
        with running.store.writing() as connection:
            about = {"annotator": ann.pseudonym, "verdict": "reject", "reason": "no care"}
            decide(connection, **about, by="me", now=running.clock())
        assert ann.work() == complete | {"more": False}
