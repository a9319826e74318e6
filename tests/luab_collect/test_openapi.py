"""schemathesis: whatever the description allows, and what it does not, is never an error of the server."""

import json

import pytest
import schemathesis
from fixtures.shops import Running
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode

FEW = settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    url = {"url": {"annotator": "worker"}}
    made = Running(tmp_path_factory.mktemp("openapi") / "shop", platforms=url)
    with made.client:
        made.ann = made.annotators("Ann")[0]
        made.work = made.ann.begin()[0]["work"]
        yield made


@pytest.mark.parametrize(
    "mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["allowed", "forbidden"]
)
def test_no_request_is_an_error_of_the_server(running, mode):
    """With a session, and about a page of work that is there, so that more than the refusals are tried."""
    described = schemathesis.openapi.from_dict(running.client.get("/api/openapi.json").json())
    operations = [each.ok() for each in described.get_all_operations()]
    statuses = {}

    def check(case):
        if "work" in (case.path_parameters or {}) and len(str(case.path_parameters["work"])) % 2 == 0:
            case.path_parameters["work"] = running.work
        case.headers = dict(case.headers or {}) | running.ann.headers
        asked = case.as_transport_kwargs(base_url="http://testserver")
        for name in ("data", "json"):  # of another client, whose words differ
            if name in asked and not isinstance(asked[name], (dict, list)):
                asked["content"] = json.dumps(asked.pop(name)) if name == "json" else asked.pop(name)
        asked = {name: each for name, each in asked.items() if name not in ("cookies", "files") or each}
        answer = running.client.request(**asked)
        statuses.setdefault(f"{case.method} {case.path}", set()).add(answer.status_code)
        assert answer.status_code < 500, (case.as_curl_command(), answer.text)

    for operation in operations:
        try:
            strategy = operation.as_strategy(generation_mode=mode)
            FEW(given(case=strategy)(check))()
        except Unsatisfiable:  # nothing of it can be forbidden
            assert mode is GenerationMode.NEGATIVE
    assert "POST /api/work/{work}/events" in statuses
    if mode is GenerationMode.POSITIVE:
        assert len(statuses) == len(operations) >= 14
        assert 200 in statuses["GET /api/work"]
        assert 422 in statuses["POST /api/work/{work}/events"]
        assert 200 in statuses["POST /api/work/{work}/epochs"]


def test_the_description_names_every_endpoint(running):
    paths = running.client.get("/api/openapi.json").json()["paths"]
    assert {path for path in paths if path.startswith("/api")} == {
        "/api/health",
        "/api/enter",
        "/api/project",
        "/api/consent",
        "/api/practice",
        "/api/work",
        "/api/assignments",
        "/api/work/{work}/epochs",
        "/api/work/{work}/events",
        "/api/work/{work}/submit",
    }
