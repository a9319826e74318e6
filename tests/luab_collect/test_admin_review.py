"""The admin's routes: their token, the lists, one page of work with its events, decisions."""

import json

import pytest
from fastapi.testclient import TestClient
from fixtures.trials import make_trial

from luab_collect.commands import run
from luab_collect.project import Project
from luab_collect.server.admin import create_admin_app
from luab_collect.server.studio import Studio
from luab_collect.store.opening import ProjectStore


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    shop = make_trial(tmp_path_factory.mktemp("admin"), overlap=2)
    assert run("simulate", [str(shop), "--annotators", "2", "--no-images"]) == 0
    studio = Studio(ProjectStore(Project.read(shop)))
    yield studio
    studio.close()


@pytest.fixture
def admin(studio):
    headers = {"Authorization": f"Bearer {studio.admin_token()}"}
    with TestClient(create_admin_app(studio), base_url="http://127.0.0.1:8001", headers=headers) as client:
        yield client


def works(admin, **query):
    return admin.get("/admin/api/work", params=query).json()


@pytest.mark.parametrize("path", ["progress", "review", "work", "work/" + "0" * 32])
@pytest.mark.parametrize("token", ["", "Bearer ", "Bearer wrong", "Bearer \u00fc"])
def test_data_needs_the_token(admin, path, token):
    answer = admin.get(f"/admin/api/{path}", headers={"Authorization": token.encode("utf-8")})
    assert (answer.status_code, answer.json()["error"]) == (401, "session")


def test_decisions_need_the_token(admin):
    body = {"annotator": "0" * 10, "verdict": "reject", "reason": "x"}
    assert admin.post("/admin/api/decisions", json=body, headers={"Authorization": ""}).status_code == 401


def test_other_hosts_are_refused(admin):
    assert admin.get("/admin", headers={"Host": "evil.example"}).status_code == 403


def test_the_shell_has_a_strict_policy_and_no_markup_of_the_project(admin):
    answer = admin.get("/admin", headers={"Authorization": ""})
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy
    assert "Shop &lt;b&gt;" in answer.text and "Shop <b>" not in answer.text
    assert "<script>" not in answer.text and " style=" not in answer.text
    for path in ("/admin/static/admin.js", "/admin/static/admin.css", "/static/dom.js", "/static/base.css"):
        found = admin.get(path)
        assert found.status_code == 200 and found.headers["x-content-type-options"] == "nosniff"


def test_works_are_listed_and_one_has_its_events(admin):
    found = works(admin)
    assert found["total"] == len(found["works"]) > 2
    assert all(each["minutes"] >= 0 and each["verdict"] is None for each in found["works"])
    one = found["works"][0]
    assert works(admin, annotator=one["annotator"])["total"] < found["total"]
    assert works(admin, offset=found["total"])["works"] == []
    work = admin.get(f"/admin/api/work/{one['id']}").json()
    assert work["annotator"] == one["annotator"] and work["state"] == "submitted"
    kinds = [event["kind"] for event in work["events"]]
    assert (kinds[0], kinds[-1]) == ("open", "submit")
    assert {event["item"] for event in work["events"] if "item" in event} <= {
        item["id"] for item in work["items"]
    }
    assert any(item["gold"] for item in work["items"])
    image = admin.get(work["items"][0]["url"])
    assert image.status_code == 200 and image.content.startswith(b"\x89PNG")


@pytest.mark.parametrize("work", ["0" * 32, "'; DROP TABLE work; --", "..%2f..%2fsecret.key", "x" * 65])
def test_there_is_no_other_work(admin, work):
    answer = admin.get(f"/admin/api/work/{work}")
    assert answer.status_code in (404, 422) and "reason" in answer.json()


def test_a_strange_annotator_has_no_work(admin):
    assert works(admin, annotator="' OR 1=1 --")["works"] == []
    assert admin.get("/admin/api/work", params={"offset": -1}).status_code == 422


def test_the_review_is_read_from_the_database(admin):
    found = admin.get("/admin/api/review").json()
    assert found["whole"]["pages"] == works(admin)["total"]
    assert found["agreement"]["units"] > 0
    json.dumps(found, allow_nan=False)


def test_a_decision_is_kept_with_its_reason(admin):
    work = works(admin)["works"][0]["id"]
    body = {"work": work, "verdict": "reject", "reason": "<script>alert(1)</script>"}
    assert admin.post("/admin/api/decisions", json=body).status_code == 200
    found = admin.get(f"/admin/api/work/{work}").json()
    assert found["verdict"] == "reject"
    assert [each["reason"] for each in found["decisions"]] == [body["reason"]]
    assert sum(admin.get("/admin/api/review").json()["rejected"].values()) == 1


def test_the_list_says_of_work_what_the_export_does(admin):
    """Of decisions about a page and about its annotator the last one holds."""
    one = works(admin)["works"][-1]
    page, hers = {"work": one["id"]}, {"annotator": one["annotator"]}
    about = [page | {"verdict": "accept"}, hers | {"verdict": "reject"}, page | {"verdict": "accept"}]
    about += [page | {"verdict": "reject"}, hers | {"verdict": "accept"}]
    seen, undone = [], []
    for body in about:
        answer = admin.post("/admin/api/decisions", json=body | {"reason": "looked"})
        assert answer.status_code == 200 and answer.json()["pages"] >= 1
        undone.append(answer.json()["undone"])
        listed = {each["id"]: each["verdict"] for each in works(admin)["works"]}
        seen.append(listed[one["id"]])
        assert seen[-1] == admin.get(f"/admin/api/work/{one['id']}").json()["verdict"]
    assert seen == ["accept", "reject", "accept", "reject", "accept"]
    assert undone[0] == 0 and undone[1] >= 1 and undone[2:4] == [1, 1]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"work": "0" * 32, "verdict": "reject", "reason": "x"}, 404),
        ({"annotator": "0" * 10, "verdict": "reject", "reason": "x"}, 404),
        ({"verdict": "reject", "reason": "x"}, 422),
        ({"work": "0" * 32, "annotator": "0" * 10, "verdict": "reject", "reason": "x"}, 422),
        ({"work": "0" * 32, "verdict": "destroy", "reason": "x"}, 422),
        ({"work": "0" * 32, "verdict": "reject", "reason": "  "}, 422),
        ({"work": "0" * 32, "verdict": "reject", "reason": "x" * 2001}, 422),
        ({"work": "0" * 32, "verdict": "reject", "reason": "x", "by": "me"}, 422),
        ([], 422),
    ],
)
def test_wrong_decisions_are_refused(admin, body, status):
    assert admin.post("/admin/api/decisions", json=body).status_code == status
